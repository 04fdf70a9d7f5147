"""The two third-party defaults of an owner: ask unless freed, and free unless marked. Pure.

Which of them holds on a day is policy data (``policies/defaults.yaml``). That something is freed is never more than
the owner's rows say: a row that needs ``unmarked`` is met by it, and where no row does, nothing is.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date

from broker.policy.bundle import DefaultEntry, ThirdPartyDefault
from broker.policy.question import FreeDefault
from broker.provenance.caveats import Caveat


def in_force(entries: Iterable[DefaultEntry], on: date) -> DefaultEntry | None:
    """The latest entry of one owner that has begun by that day (UTC); None before the first, which means ask."""
    begun = [entry for entry in entries if entry.since <= on]
    return max(begun, key=lambda entry: entry.since, default=None)


def free(entry: DefaultEntry | None) -> FreeDefault | None:
    """The entry, if what it says is free unless marked."""
    if entry is None or entry.default is not ThirdPartyDefault.FREE_UNLESS_MARKED:
        return None
    return FreeDefault(owner=entry.owner, since=entry.since, rule=entry.rule)


def why_not_freed(
    default: FreeDefault, made: Collection[date], caveats: Iterable[str], register: Mapping[str, Caveat]
) -> str | None:
    """Why a default that holds on the day of the decision does not free what was *made* and marked so; None if it does.

    *made* are the days on which the owner's parts came into being. The narrower reading: the decision and every part
    lie on or after the day from which the default has held without a break (22 CFR 9.12 keeps what is older asked for).
    """
    if not made:
        return "nothing says when it came into being"
    if min(made) < default.since:
        return (
            f"it came into being before {default.since.isoformat()}, from when {default.owner} frees what is unmarked"
        )
    for code in sorted(set(caveats)):
        caveat = register.get(code)
        # A caveat that nobody knows may be one that restricts.
        if caveat is None or caveat.restricts:
            return f"it is marked {code if caveat is not None else 'with a caveat that is not in the register'}"
    return None
