"""Measurements, each beside its floor and its peers in one run (``make bench``). Nothing here passes or fails by time.

`decisions` and `searches` measure; `ground` brings up what they measure; `load` calls from a process of its own.
"""
