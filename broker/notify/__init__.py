"""Bringing messages to agencies: to the address that stands in the register, or to whoever asks for the inbox.

It is told at least once and tried until it is delivered, however long that takes. It goes to registered addresses
only, and tells nobody what the message does not.
"""
