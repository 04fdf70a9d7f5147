"""Holds the policies that this process has loaded: the newest good one, and a few recent ones by digest.

A new policy is built beside the old one and takes its place in one assignment, or not at all. What decides is the
digest in force in the database (`broker.policy.activation`), not what this process loaded last.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from broker.kernel.clock import Clock
from broker.kernel.errors import BrokerError
from broker.policy.bundle import PolicyBundle
from broker.policy.faults import Fault, PolicyInvalid
from broker.policy.question import PolicyEngineFailure
from broker.policy.snapshot import PolicySnapshot, prepare
from broker.policy.source import digest_of, read_folder

_KEPT: Final = 4
_LOGGED: Final = 2_000
"""Characters of a failure that go into the log; `last_error` has all of it."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A policy that was not taken, and why. The one before it goes on deciding."""

    at: datetime
    detail: str
    faults: tuple[Fault, ...]


class Policies:
    """Built once per process. Without a good policy, of the folder or in force, it raises: nothing else may decide."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        accept: Callable[[PolicyBundle], object] | None = None,
        in_force: Mapping[str, bytes] | None = None,
    ) -> None:
        """Raises PolicyInvalid, or ConfigurationError: then the service must not start.

        *accept* is asked about every bundle before it may decide, and raises ConfigurationError for one that this
        installation cannot serve, e.g. because a partner's adapter is not installed. *in_force* are the files that
        stand in for a folder that is not good.
        """
        self._folder = folder
        self._accept = accept or (lambda _bundle: None)
        self._clock = clock
        self._building = threading.Lock()
        self._recent: OrderedDict[str, PolicySnapshot] = OrderedDict()
        self._tried: str | None = None
        self.last_error: LoadFailure | None = None
        self._follows = False
        self._borrowed = False
        try:
            self._current = self._authored = self._keep(self._prepare(read_folder(folder)))
        except BrokerError as broken:
            if in_force is None:
                raise
            self._borrowed = True
            self._current = self._authored = self._keep(self._prepare(in_force))
            self._alarm(broken, None)

    @property
    def current(self) -> PolicySnapshot:
        """The policy that this process works with: the one it follows, or else the newest good one of its folder."""
        return self._current

    @property
    def authored(self) -> PolicySnapshot:
        """The newest policy of this process's folder that it found good; the one in force while it is `borrowed`."""
        return self._authored

    @property
    def borrowed(self) -> bool:
        """Whether the folder has not been good since the start."""
        return self._borrowed

    @property
    def differs(self) -> bool:
        """Whether the folder says something else than what this process works with."""
        return self._authored.digest != self._current.digest

    def follow(self, snapshot: PolicySnapshot) -> None:
        """Work with this policy, the one in force, from now on; the folder's is taken up no more by itself."""
        with self._building:
            self._follows = True
            self._current = self._keep(snapshot)

    def reload(self) -> bool:
        """Read the folder again; whether another policy has become current. Never raises for a bad policy.

        Cheap while nothing has changed, so that it can be called every second; a bad policy is reported once.
        """
        with self._building:
            digest: str | None = None
            try:
                files = read_folder(self._folder)
                digest = digest_of(files)
                if digest == self._authored.digest:
                    self._tried, self.last_error, self._borrowed = digest, None, False
                    return False
                if digest == self._tried:
                    return False
                self._authored = self._keep(self._recent.get(digest) or self._prepare(files))
            except Exception as broken:  # noqa: BLE001 - whatever is wrong with the new one, the old one stays
                self._alarm(broken, digest)
                return False
            self._tried, self.last_error, self._borrowed = digest, None, False
            if not self._follows:
                self._current = self._authored
            _log.info("policy_loaded", digest=digest, rows=self._authored.bundle.rows)
            return True

    def snapshot_for(self, digest: str) -> PolicySnapshot | None:
        """The policy of that digest if this process has it; else fetch its files and call `adopt`."""
        current = self._current
        return current if current.digest == digest else self._recent.get(digest)

    def adopt(self, digest: str, files: Mapping[str, bytes]) -> PolicySnapshot:
        """Build the policy that another process loaded, from the files kept under its digest.

        It becomes one of the recent ones, not the current one. Raises PolicyEngineFailure when the files are not
        those of the digest, or no good policy.
        """
        with self._building:
            held = self.snapshot_for(digest)
            if held is not None:
                return held
            try:
                if digest_of(files) != digest:
                    raise PolicyEngineFailure("the files kept under the digest in force are not its files")
                return self._keep(self._prepare(files))
            except BrokerError as broken:
                _log.error("policy_not_adopted", alarm=True, digest=digest, detail=broken.detail)
                if isinstance(broken, PolicyEngineFailure):
                    raise
                raise PolicyEngineFailure("the policy in force cannot be loaded here") from broken

    def _prepare(self, files: Mapping[str, bytes]) -> PolicySnapshot:
        snapshot = prepare(files, self._clock.now())
        self._accept(snapshot.bundle)
        return snapshot

    def _keep(self, snapshot: PolicySnapshot) -> PolicySnapshot:
        recent = OrderedDict(self._recent)
        recent[snapshot.digest] = snapshot
        recent.move_to_end(snapshot.digest)
        while len(recent) > _KEPT:
            recent.popitem(last=False)
        # Readers take no lock: they see the old mapping or the new one, each whole.
        self._recent = recent
        return snapshot

    def _alarm(self, broken: Exception, digest: str | None) -> None:
        detail = broken.detail if isinstance(broken, BrokerError) else type(broken).__name__
        faults = broken.faults if isinstance(broken, PolicyInvalid) else ()
        said_before = self.last_error is not None and self.last_error.detail == detail
        # What is wrong with the files stays wrong until they change; anything else may be over at the next try.
        self._tried = digest if isinstance(broken, BrokerError) else None
        if not said_before:
            self.last_error = LoadFailure(self._clock.now(), detail, faults)
            _log.error("policy_not_loaded", alarm=True, kept=self._current.digest, detail=detail[:_LOGGED])
