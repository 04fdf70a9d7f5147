"""Asking owners for permission: one request, a part for each owner, and what became of it."""
