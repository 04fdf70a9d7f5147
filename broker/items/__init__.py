"""What carries a marking: candidate lists and everything made of them.

Reading content is for ``broker.decision`` alone; nobody else can hand out what has not passed its door.
"""
