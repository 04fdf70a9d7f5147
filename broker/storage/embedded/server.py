"""Who owns the server, and who only attaches."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Final

import psycopg
import structlog

from broker.kernel.errors import ConfigurationError
from broker.storage.embedded.account import Account, choose_account
from broker.storage.embedded.binaries import Binaries, find_binaries
from broker.storage.embedded.cluster import major_of, make_cluster, server_settings
from broker.storage.embedded.endpoint import Credentials, Endpoint, drop_libpq_environment
from broker.storage.embedded.place import Place, find_place, make_place, make_socket_folder, socket_folder_is_private
from broker.storage.embedded.process import clear_orphan, start_server, stop_server

WAIT_SECONDS: Final = 30.0
"""How long others wait for the owner's server, and how long a server that ends at once is tried again."""
_RECOVERY_SECONDS: Final = 600.0
"""How long a server that runs may take until it answers: after a crash it first goes through its log."""
_STEP: Final = 0.05
_log = structlog.get_logger(__name__)


class EmbeddedPostgres:
    """The server of one home: started by whoever comes first, who owns it; attached to by all others.

    Call from the main thread: on Linux the server ends with the thread that started it. With ``durable=False`` a
    crash of the machine loses data; it is for tests, and no setting leads to it.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self._home = home.absolute()
        self._durable = durable
        self._lock: int | None = None
        self._process: Popen[bytes] | None = None
        self._place: Place | None = None
        self._endpoint: Endpoint | None = None
        self._socket_folder: Path | None = None

    @property
    def owned(self) -> bool:
        """Whether this object holds the server, and so stops it."""
        return self._lock is not None

    def start(self) -> Endpoint:
        """Start the server, or attach to the one that another process owns; ready for use when this returns.

        Of processes that race, one starts it and the others wait up to 30 seconds for it.
        Raises ConfigurationError when neither succeeds.
        """
        drop_libpq_environment()
        deadline = time.monotonic() + WAIT_SECONDS
        account = choose_account()
        with _permission_explained(self._home):
            place = make_place(self._home, account)
            while not self._acquire(place):
                endpoint = _running(self._home, place)
                if endpoint is not None:
                    return endpoint
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"another process holds {place.lock}, but its database does not answer")
                time.sleep(_STEP)
            try:
                return self._start(place)
            except BaseException:
                self.stop()
                raise

    def tend(self) -> Endpoint:
        """Start the server again if it has died, or if the process that owned it is gone; cheap if all is well."""
        if self._endpoint is not None and self._process is not None and self._process.poll() is None:
            return self._endpoint
        if not self.owned:
            running = attach(self._home)
            if running is not None:
                return running
        _log.warning("database_started_again" if self.owned else "database_taken_over", home=str(self._home))
        self.stop()
        return self.start()

    def stop(self) -> None:
        """Shut the server down if it is ours, and let go of it. May be called twice."""
        if self._lock is None:
            return
        if self._place is not None:
            self._place.state.unlink(missing_ok=True)
            if self._process is not None:
                stop_server(self._process)
            if self._socket_folder is not None:
                with suppress(OSError):
                    self._socket_folder.rmdir()
        self._process = self._endpoint = self._socket_folder = None
        os.close(self._lock)
        self._lock = None

    def bootstrap_url(self) -> str:
        """The superuser's way in, for tests that make databases. The server must be running."""
        place = find_place(self._home)
        socket_folder = place.read_state() if place else None
        if socket_folder is None:
            raise ConfigurationError("the embedded database is not running")
        return Credentials.load(self._home).bootstrap_url(socket_folder)

    def _acquire(self, place: Place) -> bool:
        self._place = place
        self._lock = _try_lock(place, fcntl.LOCK_EX)
        return self._lock is not None

    def _start(self, place: Place) -> Endpoint:
        # 1. What an earlier owner that was killed has left: its word that it runs, and perhaps its server.
        place.state.unlink(missing_ok=True)
        account = choose_account(place.data)
        clear_orphan(place.data)
        # 2. Programs that the server's user can run, of the version that made the data.
        binaries = _reachable(find_binaries(major_of(place.data)), place, account)
        # 3. The data, if there are none.
        credentials = Credentials.load(self._home)
        if major_of(place.data) is None:
            make_cluster(place, binaries, account, credentials, durable=self._durable)
        # 4. The server, and only when it answers the word that it runs.
        self._socket_folder = socket_folder = make_socket_folder(place, account)
        endpoint = credentials.endpoint(socket_folder)
        arguments: list[str | Path] = [
            binaries.postgres,
            "-D",
            place.data,
            *server_settings(socket_folder, durable=self._durable),
        ]
        self._await_answer(arguments, account, place, endpoint)
        place.write_state(socket_folder)
        self._endpoint = endpoint
        return endpoint

    def _await_answer(self, arguments: list[str | Path], account: Account, place: Place, endpoint: Endpoint) -> None:
        began = time.monotonic()
        while self._process is None or not can_connect(endpoint):
            waited = time.monotonic() - began
            if self._process is None or self._process.poll() is not None:
                # After a kill -9 of an earlier server its children may hold the shared memory for a moment, and the
                # start fails; it is tried again for a while.
                if self._process is not None and waited > WAIT_SECONDS:
                    raise ConfigurationError(f"the embedded database does not start: {_last_line(place.log)}")
                self._process = start_server(arguments, account, place.log)
            elif waited > _RECOVERY_SECONDS:
                raise ConfigurationError(f"the embedded database does not answer: {_last_line(place.log)}")
            time.sleep(_STEP)


def attach(home: Path) -> Endpoint | None:
    """The database of *home* if another process runs it (or is about to: then its start is awaited), else None."""
    home = home.absolute()
    deadline = time.monotonic() + WAIT_SECONDS
    with _permission_explained(home):
        place = find_place(home)
        while place is not None and _is_owned(place):
            drop_libpq_environment()
            endpoint = _running(home, place)
            if endpoint is not None:
                return endpoint
            if time.monotonic() > deadline:
                raise ConfigurationError(f"another process holds {place.lock}, but its database does not answer")
            time.sleep(_STEP)
    return None


@contextmanager
def connected(home: Path, app_url: str | None = None, owner_url: str | None = None) -> Iterator[Endpoint]:
    """The database for one command: an outside one if its URL is given, else *home*'s, running already or not.

    A server that had to be started is stopped at the end; one that somebody else owns never is.
    """
    if app_url is not None:
        yield Endpoint(owner_url=owner_url or app_url, app_url=app_url)
        return
    server = EmbeddedPostgres(home)
    try:
        yield server.start()
    finally:
        server.stop()


def can_connect(endpoint: Endpoint) -> bool:
    """Whether the database answers, with a password that fits. A password that does not fit is a ConfigurationError."""
    try:
        psycopg.connect(endpoint.app_url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise ConfigurationError(
                "the embedded database does not accept the passwords in its home's folder keys; "
                "were the keys replaced, or the database copied from elsewhere?"
            ) from error
        return False
    return True


def _running(home: Path, place: Place) -> Endpoint | None:
    socket_folder = place.read_state()
    if socket_folder is None or not socket_folder_is_private(socket_folder, place.data.stat().st_uid):
        return None
    endpoint = Credentials.load(home).endpoint(socket_folder)
    return endpoint if can_connect(endpoint) else None


def _is_owned(place: Place) -> bool:
    # A shared lock, held for an instant: two that look at the same time do not take each other for an owner, and
    # an owner that is about to start tries again.
    descriptor = _try_lock(place, fcntl.LOCK_SH)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _try_lock(place: Place, kind: int) -> int | None:
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _reachable(binaries: Binaries, place: Place, account: Account) -> Binaries:
    if account.can_run(binaries.postgres):
        return binaries
    copied = binaries.copy_to(place.folder)
    if not account.can_run(copied.postgres):
        raise ConfigurationError(
            f"PostgreSQL's programs ({binaries.postgres}) do not run on this machine; "
            "name a database of your own in BROKER_DATABASE_URL"
        )
    return copied


@contextmanager
def _permission_explained(home: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(
            f"no permission for {error.filename or home}: {home} was made by another user; "
            "set BROKER_HOME to a folder of your own"
        ) from error


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
