"""A policy in which DOS frees what is unmarked: its row, and entries of its default."""

from tests.support.policy_files import appended

FREE_ROW = "p, DOS, any, release, under:criminal_investigation, any, unmarked, allow"


def freeing_entry(day: str, default: str = "free_unless_marked", owner: str = "DOS") -> str:
    """One more entry of ``defaults.yaml``."""
    return f"- owner: {owner}\n  default: {default}\n  from: {day}\n  ground: An invented order\n"


def freeing(**entries: str) -> dict[str, bytes]:
    """The shipped files with DOS's row, and an entry for each `day="default"`."""
    files = appended("owners/DOS.csv", FREE_ROW)
    for day, default in entries.items():
        files["defaults.yaml"] += freeing_entry(day, default).encode()
    return files
