"""Plugs for partner systems, and an invented partner for each to be tried against. The broker never imports this."""
