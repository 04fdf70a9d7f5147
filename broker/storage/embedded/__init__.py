"""The database that the broker brings along: PostgreSQL from a wheel, run by our own small supervisor.

One process owns the server for as long as it holds a lock; every other process attaches and never stops it. It
listens on no port: only on a socket in a private folder, with a password for each role. It refuses to run as root
(an unprivileged system user is used), to touch the modes of folders it did not make, and to trust a socket folder
that somebody else made.
"""

from broker.storage.embedded.endpoint import Endpoint
from broker.storage.embedded.place import remove_home
from broker.storage.embedded.server import EmbeddedPostgres, attach, connected

__all__ = ["EmbeddedPostgres", "Endpoint", "attach", "connected", "remove_home"]
