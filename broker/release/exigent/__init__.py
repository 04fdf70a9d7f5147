"""Releases in imminent danger: made without waiting, told at once, ratified or refused afterwards."""
