"""Whether the words of a grant are words of the register. Refused, never repaired. Pure."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from broker.grants.duties import AttachCaveat, NotifyOwner, PurgeBy, Unreadable
from broker.grants.model import Terms
from broker.kernel.errors import Invalid
from broker.kernel.tree import Tree
from broker.kernel.words import Action

_LONGEST_POINTER: Final = 500


def check(
    terms: Terms,
    agencies: Tree,
    purposes: Tree,
    caveats: Collection[str],
    partners: Collection[str],
    now: datetime,
) -> None:
    """Raises Invalid for the first member that does not fit, saying what would."""
    faults = (
        *_names(terms, agencies, purposes, caveats),
        *_system(terms, partners),
        *_extent(terms),
        *_period(terms, now),
        *_duties(terms, caveats, now),
    )
    if faults:
        detail, pointer = faults[0]
        raise Invalid(detail, pointer)


def _names(terms: Terms, agencies: Tree, purposes: Tree, caveats: Collection[str]) -> Iterator[tuple[str, str]]:
    if terms.owner not in agencies:
        yield "owner is not an agency of the register, written exactly", "/owner"
    for n, recipient in enumerate(terms.recipients):
        if recipient not in agencies:
            yield "a recipient is not an agency of the register, written exactly", f"/recipients/{n}"
    if terms.owner in terms.recipients:
        yield "the owner needs no permission of its own", "/recipients"
    for n, purpose in enumerate(terms.purposes):
        if purpose not in purposes:
            yield "a purpose is not in the register, written exactly", f"/purposes/{n}"
    for n, code in enumerate(terms.caveats):
        if code not in caveats:
            yield "a caveat is not in the register, so nobody could check it", f"/caveats/{n}"


def _system(terms: Terms, partners: Collection[str]) -> Iterator[tuple[str, str]]:
    # A name that is nearly a partner's would be a permission for nothing, that somebody relies on.
    if terms.scope.partner is not None and terms.scope.partner not in partners:
        yield "partner is not a system of the register, written exactly", "/scope/partner"


def _extent(terms: Terms) -> Iterator[tuple[str, str]]:
    if any(len(set(listed)) != len(listed) for listed in (terms.recipients, terms.purposes, terms.scope.items)):
        yield "a recipient, purpose or item is named twice", ""
    if terms.fields is not None and not terms.fields:
        yield "fields, when given, name at least one; leave them out for the whole content", "/fields"
    for n, field in enumerate(terms.fields or ()):
        if not field.startswith("/") or len(field) > _LONGEST_POINTER:
            yield "a field is a JSON Pointer, such as /candidates/0/rank", f"/fields/{n}"
    if terms.max_uses is not None and terms.max_uses < 1:
        yield "max_uses is 1 or more; leave it out for no limit", "/max_uses"
    if terms.max_uses is not None and terms.action is Action.VIEW:
        yield "looks are not counted; leave max_uses out", "/max_uses"
    if terms.max_hops is not None and not terms.onward:
        yield "max_hops goes with onward; without it only the component that asked passes on", "/max_hops"


def _period(terms: Terms, now: datetime) -> Iterator[tuple[str, str]]:
    if not terms.valid_from < terms.valid_until:
        yield "valid_until must be later than valid_from", "/valid_until"
    if not now < terms.valid_until:
        yield "valid_until has passed already", "/valid_until"


def _duties(terms: Terms, caveats: Collection[str], now: datetime) -> Iterator[tuple[str, str]]:
    if len(set(terms.duties)) != len(terms.duties):
        yield "a duty is named twice", "/duties"
    for n, duty in enumerate(terms.duties):
        if isinstance(duty, Unreadable):
            yield "a duty is not one that is known, so nobody could see that it is met", f"/duties/{n}"
        if isinstance(duty, AttachCaveat) and duty.caveat not in caveats:
            yield "a caveat is not in the register, so nobody could check it", f"/duties/{n}/caveat"
        if isinstance(duty, PurgeBy) and duty.at is not None and duty.at <= max(now, terms.valid_from):
            yield "a copy would have to be gone before the grant begins to hold", f"/duties/{n}/at"
        if isinstance(duty, NotifyOwner | PurgeBy | AttachCaveat) and terms.action is Action.VIEW:
            yield "a look makes no copy and no release; of the duties only verify_first goes with it", f"/duties/{n}"
