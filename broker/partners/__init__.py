"""The way out to partner systems: what an adapter is, which there are, and how one is asked.

An adapter turns an order into calls and a reply into an outcome. It is refused everything else: it never sees a
secret, an owner, a database or the HTTP client, it keeps no state, and whatever it raises ends as a typed outcome.
"""
