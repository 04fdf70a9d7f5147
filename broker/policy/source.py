"""Reads ``policies/`` strictly, from a folder or from the bytes kept under a digest.

All or nothing: every fault is collected and raised together, and with one fault there is no bundle. A file that does
not belong is a fault as well, for a rule in a file that nobody reads is a rule that its author believes in.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from broker.policy import defaults, model, registers, strict_yaml
from broker.policy.bundle import PolicyBundle, ShareRow
from broker.policy.cases import Suite
from broker.policy.faults import Faults, hint, quoted
from broker.policy.plain_text import MAX_FILE_BYTES, decode
from broker.policy.registers import PartnerRegister
from broker.policy.rows import Registers, RowReader
from broker.policy.search_rows import SearchRowReader
from broker.policy.strict_yaml import Document
from broker.policy.suite_source import SuiteReader

AGENCIES, PURPOSES, CAVEATS, PARTNERS = "agencies.yaml", "purposes.yaml", "caveats.yaml", "partners.yaml"
DEFAULTS, SEARCHES = "defaults.yaml", "searches.csv"
MODEL, ACCESS = "model.conf", "access.csv"
SINGLE: Final = (AGENCIES, PURPOSES, CAVEATS, PARTNERS, DEFAULTS, MODEL, ACCESS, SEARCHES)
NOT_RULES: Final = frozenset({"README.md"})
"""Lies in the folder for people; it is neither read nor part of the digest."""
MAX_FILES: Final = 500

_OWNER_FILE: Final = re.compile(r"owners/([^/]+)\.csv\Z")
_SUITE_FILE: Final = re.compile(r"tests/[a-z0-9][a-z0-9_-]{0,60}_test\.yaml\Z")
_LEFT_BEHIND: Final = re.compile(r"(^|/)(\.|#)|(~|\.bak|\.orig|\.rej|\.sw[a-p]|\.tmp|\.old)\Z", re.IGNORECASE)
_DIGEST_DOMAIN: Final = b"interagency-request-broker policy bundle 1\n"


def load(directory: Path) -> PolicyBundle:
    """What the folder says. Raises PolicyInvalid with all faults. The suites are read here and run elsewhere."""
    return from_files(read_folder(directory))


def read_folder(directory: Path) -> dict[str, bytes]:
    """The bytes of every file that belongs. Raises PolicyInvalid for what does not: links, strangers, leftovers."""
    faults = Faults()
    files: dict[str, bytes] = {}
    if not directory.is_dir():
        faults.add(".", 0, "there is no such folder")
    else:
        for path, entry in _entries(directory, faults):
            if len(files) >= MAX_FILES:
                faults.add(".", 0, f"more than {MAX_FILES} files")
                break
            content = _content(entry, path, faults)
            if content is not None:
                files[path] = content
    _refuse_strangers(files, faults)
    faults.refuse_any()
    return files


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 over a fixed first line, then each path and its content in the order of the paths' bytes.

    Path and content are each preceded by their length as 8 bytes, big-endian, so that no two sets of files run
    together into the same bytes.
    """
    running = hashlib.sha256(_DIGEST_DOMAIN)
    for path, content in sorted((path.encode(), content) for path, content in files.items()):
        for part in (path, content):
            running.update(len(part).to_bytes(8, "big"))
            running.update(part)
    return "sha256:" + running.hexdigest()


def from_files(files: Mapping[str, bytes]) -> PolicyBundle:
    """What these files say, whoever kept them. Raises PolicyInvalid with all faults."""
    faults = Faults()
    _refuse_strangers(files, faults)
    reader = _Reader(files, faults)
    bundle = reader.bundle()
    faults.refuse_any()
    return bundle


def _entries(directory: Path, faults: Faults, below: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = below + entry.name
        if entry.is_symlink():
            faults.add(path, 0, "this is a symbolic link; rules are plain files that lie here themselves")
        elif entry.is_dir(follow_symlinks=False):
            if path in {"owners", "tests"}:
                yield from _entries(directory / entry.name, faults, f"{path}/")
            else:
                faults.add(path, 0, f"unexpected folder{hint(path, ('owners', 'tests'))}")
        elif path not in NOT_RULES:
            yield path, entry


def _content(entry: os.DirEntry[str], path: str, faults: Faults) -> bytes | None:
    try:
        # Neither a link put there since, nor a pipe that would wait for ever.
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                faults.add(path, 0, "this is not a plain file")
                return None
            return opened.read(MAX_FILE_BYTES + 1)
    except OSError as broken:
        faults.add(path, 0, f"this cannot be read: {broken.strerror}")
        return None


def _refuse_strangers(files: Mapping[str, bytes], faults: Faults) -> None:
    for path in files:
        if path in SINGLE or _OWNER_FILE.match(path) or _SUITE_FILE.match(path):
            continue
        if _LEFT_BEHIND.search(path):
            faults.add(path, 0, "a hidden file, or what an editor left behind; remove it")
        elif path.startswith("tests/"):
            faults.add(path, 0, "a suite is called <name>_test.yaml, in lower case, or it would not be run")
        elif path.startswith("owners/"):
            faults.add(path, 0, "an owner's file is called <AGENCY>.csv, or it would not be read")
        else:
            faults.add(path, 0, f"no file of this name belongs here{hint(path, SINGLE)}")


class _Reader:
    """One reading of one set of files."""

    def __init__(self, files: Mapping[str, bytes], faults: Faults) -> None:
        self._files = files
        self._faults = faults

    def bundle(self) -> PolicyBundle:
        """The bundle; to be thrown away if a fault was noted. Raises PolicyInvalid when a register is at fault."""
        faults, paths = self._faults, sorted(self._files)
        # 1. What stands on its own.
        access, statements, searches = self._text(ACCESS), self._text(MODEL), self._text(SEARCHES)
        access_rows = () if access is None else RowReader(ACCESS, faults).access_rows(access)
        definitions = {} if statements is None else model.read(MODEL, statements, faults)
        # 2. The registers. The rest names their ids, so with a fault here it would only echo it, line by line.
        before = len(faults)
        documents = self._documents((AGENCIES, PURPOSES, CAVEATS, PARTNERS, DEFAULTS))
        if len(faults) != before:
            faults.refuse_any()
        agencies = registers.agencies(documents[AGENCIES], faults)
        purposes = registers.purposes(documents[PURPOSES], faults)
        caveats = registers.caveats(documents[CAVEATS], faults)
        if len(faults) != before:
            faults.refuse_any()
        # 3. What names them.
        ids = Registers(agencies.tree, purposes.tree, purposes.civil)
        partners = registers.partners(documents[PARTNERS], agencies.tree, purposes.tree, caveats, faults)
        search_rows = (
            () if searches is None else SearchRowReader(SEARCHES, faults).search_rows(searches, ids, partners.partners)
        )
        share_rows = tuple(row for path in paths for row in self._owner_rows(path, ids))
        self._refuse_owners_without_file(partners)
        third_party = defaults.read(documents[DEFAULTS], agencies.tree, share_rows, faults)
        suites = self._suites(
            [path for path in paths if _SUITE_FILE.match(path)], SuiteReader(ids, partners, caveats, faults)
        )
        return PolicyBundle(
            digest=digest_of(self._files),
            files=MappingProxyType(dict(self._files)),
            agencies=agencies.tree,
            agency_titles=MappingProxyType(dict(agencies.titles)),
            notified_at=MappingProxyType(dict(agencies.notified_at)),
            purposes=purposes.tree,
            purpose_titles=MappingProxyType(dict(purposes.titles)),
            civil_purposes=purposes.civil,
            partners=partners.partners,
            partner_rules=MappingProxyType(dict(partners.rules)),
            caveats=MappingProxyType(dict(caveats)),
            defaults=third_party,
            model=MappingProxyType(definitions),
            share_rows=share_rows,
            access_rows=access_rows,
            search_rows=search_rows,
            suites=suites,
        )

    def _owner_rows(self, path: str, ids: Registers) -> tuple[ShareRow, ...]:
        owner_file = _OWNER_FILE.match(path)
        if owner_file is None:
            return ()
        owner = owner_file.group(1)
        if owner not in ids.agencies:
            self._faults.add(path, 0, f"no agency is called {quoted(owner)}{hint(owner, ids.agencies)}")
            return ()
        text = self._text(path)
        return () if text is None else RowReader(path, self._faults).share_rows(text, owner, ids)

    def _refuse_owners_without_file(self, partners: PartnerRegister) -> None:
        for partner in partners.partners:
            if f"owners/{partner.owner}.csv" not in self._files:
                rule = partners.rules[partner.id]
                reason = f"{partner.owner} owns what {partner.id!r} answers, and there is no owners/{partner.owner}.csv"
                self._faults.add(rule.file, rule.line, reason)

    def _suites(self, paths: list[str], reader: SuiteReader) -> tuple[Suite, ...]:
        if not paths:
            self._faults.add("tests", 0, "there is no suite; rules that nobody has tried are not loaded")
        documents = self._documents(paths).values()
        return tuple(suite for document in documents if (suite := reader.suite(document)) is not None)

    def _documents(self, paths: Iterable[str]) -> dict[str, Document]:
        """The documents that could be read; of each other one a fault is noted."""
        found = {}
        for path in paths:
            text = self._text(path)
            document = None if text is None else strict_yaml.read(path, text, self._faults)
            if document is not None:
                found[path] = document
        return found

    def _text(self, path: str) -> str | None:
        content = self._files.get(path)
        if content is None:
            self._faults.add(path, 0, "the file is missing")
            return None
        return decode(path, content, self._faults)
