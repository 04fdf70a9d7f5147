"""Adapter and invented stand-in for a partner that answers at once (OSIA ABIS 1.6, status 200)."""
