"""The words that every other package uses: ids, the agency and purpose trees, partners, the clock, errors.

Nothing here does any I/O, and nothing here imports from the rest of the broker.
"""
