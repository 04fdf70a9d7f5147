"""Adapter and invented stand-in for a contractor that verifies one enrolled participant at a time."""
