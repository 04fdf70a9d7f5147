"""Adapter and invented stand-in for a partner that answers later (OSIA ABIS 1.6, status 202, task, callback)."""
