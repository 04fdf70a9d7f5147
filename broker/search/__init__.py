"""Stage 1: a search is asked of partners, and what comes back is marked with its owner.

The owner is the register's, never the reply's. A search is counted once, whatever it took to get an answer.
"""
