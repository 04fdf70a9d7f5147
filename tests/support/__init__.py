"""What tests share: a real PostgreSQL, the real processes, and programs run as another user."""
