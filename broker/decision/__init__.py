"""May it pass? The one door through which content leaves: `gate` judges, `loader` locks, `service` opens.

Every doubt is a Deny, and a Deny is recorded like a release.
"""
