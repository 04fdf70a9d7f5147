"""OSIA ABIS 1.6.0 (OSIA v7.1, twin of ITU-T X.1281), as far as one-to-many face search goes.

Two halves that do not know each other: what adapters write and read (`messages`, `tasks`), and what the stand-ins serve
(`service`). The standard has no word for owners; the marking rides in ``others.handling``.
"""
