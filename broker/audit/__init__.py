"""What was done, by whom, kept so that nobody can change it unnoticed.

One row is written in the transaction of each act (`recorder`); a sequencer puts committed rows into an RFC 6962
tree within about a second and signs checkpoints (`sequencer`, `checkpoint`); anybody who holds a checkpoint can show
later that nothing before it was altered, removed or slipped in (`verify`).

It refuses to change or delete a row, to sign over a tree that does not agree with the last signature, and to hold
content: events carry ids and circumstances only.
"""
