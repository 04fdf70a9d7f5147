"""Adapter and invented stand-in for a motor vehicle department that is sent transaction files (ANSI/NIST-ITL)."""
