"""Who may do what with whose items, as data that the owners' policy authors write.

The package reads ``policies/`` strictly, asks Casbin one question per owner, runs the suites that lie beside the
rules, and keeps one immutable snapshot per digest. It refuses: a directory with any fault in it, an empty policy, a
bundle whose suites fail, and every question that it does not fully understand. It never looks up grants: whether a
recorded permission covers a question is told to it as the question's standing.
"""
