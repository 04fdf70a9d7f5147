"""What a grant lacks for a question. Nothing lacking means that it covers it; two grants never add up.

Pure: everything it needs is given, and every dimension is looked at, so that an explanation is complete.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.grants.model import Grant, GrantStatus, Reach, Scope, Terms
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PurposeId
from broker.kernel.tree import Tree
from broker.kernel.words import Action, ItemKind
from broker.provenance.marking import Marking


class Lack(StrEnum):
    """A dimension in which a grant does not cover a question."""

    OWNER = "owner"
    ACTION = "action"
    RECIPIENT = "recipient"
    PURPOSE = "purpose"
    ITEM = "item"
    CASE = "case"
    PARTNER = "partner"
    KIND = "kind"
    FIELDS = "fields"
    ONWARD = "onward"
    HOPS = "hops"
    PENDING = "pending"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    ENTERED_IN_ERROR = "entered_in_error"
    SUSPENDED = "suspended"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"


STATE_OF_THE_GRANT = frozenset(
    {
        Lack.PENDING,
        Lack.REVOKED,
        Lack.SUPERSEDED,
        Lack.ENTERED_IN_ERROR,
        Lack.SUSPENDED,
        Lack.NOT_YET_VALID,
        Lack.EXPIRED,
        Lack.EXHAUSTED,
    }
)
"""Lacks of the grant itself; the others say that it is about something else."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one owner is asked to have permitted."""

    owner: AgencyId
    parts: tuple[Marking, ...]
    """That owner's markings on the item."""
    item: ItemId
    kind: ItemKind
    recipient: AgencyId
    action: Action
    purpose: PurposeId
    case_id: CaseId | None
    fields: tuple[str, ...] | None
    hops: int
    """How many releases lie between the component that asked and this one; 0 where that component itself passes on."""


@dataclass(frozen=True, slots=True)
class Trees:
    """The agencies and purposes of the policy in force."""

    agencies: Tree
    purposes: Tree
    civil: frozenset[str] = frozenset()
    """Purposes that are civil enforcement only: no grant reaches one from above, it has to be named (R4)."""


def lacks(
    grant: Grant, request: Request, trees: Trees, now: datetime, already_counted: frozenset[GrantId] = frozenset()
) -> frozenset[Lack]:
    """Every dimension in which *grant* does not cover *request* at *now*; empty when it covers it.

    *already_counted* names grants whose use by this very release is on record, so that a replay is not a second use.
    """
    terms = grant.terms
    found = set(_scope_lacks(terms.scope, request))
    if terms.owner != request.owner:
        found.add(Lack.OWNER)
    if terms.action is not request.action and not terms.lift:
        found.add(Lack.ACTION)
    # Both the trees of the day it was recorded and those in force: no re-parenting adds to an old grant.
    if not (request.recipient in grant.reach.recipients and _reaches_agency(terms, request.recipient, trees)):
        found.add(Lack.RECIPIENT)
    if not (request.purpose in grant.reach.purposes and _reaches_purpose(terms, request.purpose, trees)):
        found.add(Lack.PURPOSE)
    if terms.fields is not None and not _within_fields(request.fields, terms.fields):
        found.add(Lack.FIELDS)
    if request.hops > terms.hops and not terms.lift:
        found.add(Lack.HOPS if terms.onward else Lack.ONWARD)
    return frozenset(found | _state_lacks(grant, now, already_counted))


def reach(terms: Terms, trees: Trees) -> Reach:
    """What these terms reach in these trees, to be recorded with the grant."""
    return Reach(
        recipients=frozenset(one for one in trees.agencies if _reaches_agency(terms, one, trees)),
        purposes=frozenset(one for one in trees.purposes if _reaches_purpose(terms, one, trees)),
    )


def _reaches_agency(terms: Terms, agency: str, trees: Trees) -> bool:
    if terms.lift:
        return agency in trees.agencies
    return _named(agency, terms.recipients, trees.agencies, reach_down=terms.include_components)


def _reaches_purpose(terms: Terms, purpose: str, trees: Trees) -> bool:
    if terms.lift:
        return purpose in trees.purposes and purpose not in trees.civil
    tops = terms.purposes if purpose not in trees.civil else tuple(set(terms.purposes) & trees.civil)
    return _named(purpose, tops, trees.purposes, reach_down=terms.include_subpurposes)


def scope_keys(item: ItemId, kind: ItemKind, parts: tuple[Marking, ...]) -> tuple[str, ...]:
    """The keys under which grants that may cover an item are found; see ``recorded_keys``."""
    keys = [f"item:{item}", f"standing:*:{kind}"]
    cases = {part.case_id for part in parts}
    if len(cases) == 1:
        keys.append(f"case:{cases.pop()}")
    systems = {part.source_system for part in parts}
    if len(systems) == 1 and (system := systems.pop()) is not None:
        keys += [f"standing:{system}:*", f"standing:{system}:{kind}"]
    return tuple(sorted(keys))


def lift_key(item: ItemId, action: Action) -> str:
    """The key under which the lift of an item is found; it is filed once for each action, as it covers them all."""
    return f"lift:{item}:{action}"


def recorded_keys(scope: Scope) -> tuple[str, ...]:
    """The keys under which a grant is filed: its most telling member alone, the rest is judged on the grant."""
    if scope.items:
        return tuple(sorted(f"item:{item}" for item in set(scope.items)))
    if scope.case_id is not None:
        return (f"case:{scope.case_id}",)
    return (f"standing:{scope.partner or '*'}:{scope.kind or '*'}",)


def _scope_lacks(scope: Scope, request: Request) -> set[Lack]:
    found = set()
    if scope.items and request.item not in scope.items:
        found.add(Lack.ITEM)
    if scope.case_id is not None and not (
        request.case_id == scope.case_id and all(part.case_id == scope.case_id for part in request.parts)
    ):
        found.add(Lack.CASE)
    if scope.partner is not None and not all(part.source_system == scope.partner for part in request.parts):
        found.add(Lack.PARTNER)
    if scope.kind is not None and scope.kind is not request.kind:
        found.add(Lack.KIND)
    if not request.parts:
        # `all` of nothing is true; a grant must not reach an item in which its owner has no part.
        found.add(Lack.OWNER)
    return found


def _state_lacks(grant: Grant, now: datetime, already_counted: frozenset[GrantId]) -> set[Lack]:
    found = set()
    match grant.status:
        case GrantStatus.PENDING:
            found.add(Lack.PENDING)
        case GrantStatus.REVOKED:
            found.add(Lack.REVOKED)
        case GrantStatus.SUPERSEDED:
            found.add(Lack.SUPERSEDED)
        case GrantStatus.ENTERED_IN_ERROR:
            found.add(Lack.ENTERED_IN_ERROR)
        case GrantStatus.SUSPENDED:
            found.add(Lack.SUSPENDED)
        case GrantStatus.ACTIVE:
            pass
    if now < grant.terms.valid_from:
        found.add(Lack.NOT_YET_VALID)
    if not now < grant.terms.valid_until:
        found.add(Lack.EXPIRED)
    limit = grant.terms.max_uses
    if limit is not None and grant.uses >= limit and grant.id not in already_counted:
        found.add(Lack.EXHAUSTED)
    return found


def _named(name: str, listed: tuple[str, ...], tree: Tree, *, reach_down: bool) -> bool:
    if name not in tree:
        return False
    return name in listed or (reach_down and any(tree.within(name, top) for top in listed))


def _within_fields(asked: tuple[str, ...] | None, allowed: tuple[str, ...]) -> bool:
    if not asked:
        return False
    return all(any(field == top or field.startswith(top + "/") for top in allowed) for field in asked)
