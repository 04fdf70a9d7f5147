"""Whose something is: markings, the caveats they carry, and how they add up when something is derived. Pure."""
