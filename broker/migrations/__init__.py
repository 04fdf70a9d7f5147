"""The database's shape, step by step, run by the role that owns it."""
