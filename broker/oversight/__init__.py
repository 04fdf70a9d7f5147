"""The questions that an oversight body asks, each a named query over what the broker itself recorded.

It counts; it never reads content. Looking at a report is itself recorded.
"""
