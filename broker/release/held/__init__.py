"""Releases that are held back until the last permission arrives, and then decided anew."""
