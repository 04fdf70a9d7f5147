"""Interagency request broker.

It asks partner systems on behalf of an analyst, marks every answer with its owner, and passes nothing on
without each owner's recorded permission. It never identifies anybody: candidates are leads.
"""
