"""The shipped policy as bytes in memory, and ways to change it: each test edits its own copy."""

from pathlib import Path

from broker.policy.faults import PolicyInvalid
from broker.policy.source import from_files, read_folder

SHIPPED = Path(__file__).resolve().parents[2] / "policies"


def shipped() -> dict[str, bytes]:
    """The files of ``policies/`` as they are read."""
    return read_folder(SHIPPED)


def edited(path: str, old: str, new: str) -> dict[str, bytes]:
    """The shipped files with one text replaced; the text has to be there."""
    files = shipped()
    text = files[path].decode()
    assert old in text, (path, old)
    files[path] = text.replace(old, new, 1).encode()
    return files


def at_partner(entry_id: str, old: str, new: str) -> dict[str, bytes]:
    """The shipped files with one text replaced in the entry of one partner; the text has to be there."""
    files = shipped()
    before, start, rest = files["partners.yaml"].decode().partition(f"- id: {entry_id}\n")
    entry, following, after = rest.partition("\n- id: ")
    assert start, entry_id
    assert old in entry, (entry_id, old)
    files["partners.yaml"] = "".join((before, start, entry.replace(old, new, 1), following, after)).encode()
    return files


def appended(path: str, *lines: str) -> dict[str, bytes]:
    """The shipped files with lines added at the end of one."""
    files = shipped()
    files[path] = files.get(path, b"") + "".join(f"{line}\n" for line in lines).encode()
    return files


def without(*paths: str) -> dict[str, bytes]:
    """The shipped files, some left out."""
    return {path: content for path, content in shipped().items() if path not in paths}


def lean(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with one short suite only: reading the others is most of the time, where they do not matter."""
    kept = "tests/searches_test.yaml"
    return {path: content for path, content in files.items() if path == kept or not path.startswith("tests/")}


def faults_of(files: dict[str, bytes]) -> list[str]:
    """What the strict reader says of the files, as ``file:line: reason``; empty when it takes them."""
    try:
        from_files(files)
    except PolicyInvalid as invalid:
        return [str(fault) for fault in invalid.faults]
    return []


def written(files: dict[str, bytes], folder: Path) -> Path:
    """The files in a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder
