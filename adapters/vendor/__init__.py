"""Adapter and invented stand-in for a commercial vendor: an API key, pages of results, a webhook, a quota."""
