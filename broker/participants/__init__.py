"""The register of participants: who is enrolled with a partner that verifies, and which terms of use each accepted.

A participant is an id here and a reference at the partner, no name. Only the component whose participants they are
knows of them, and of its people only those enrolled for the partner. Where anybody is, is not kept and not asked.
"""
