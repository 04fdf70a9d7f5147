"""Markings and grants as values: complete, in order, and each member open to be changed by a test."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from broker.grants.coverage import Trees, reach
from broker.grants.model import Evidence, Grant, GrantStatus, Scope, Terms
from broker.kernel.ids import AgencyId, CaseId, GrantId, ItemId, PartnerId, PurposeId, Subject, new_id
from broker.kernel.words import Action
from broker.policy.source import from_files
from broker.provenance.marking import Marking, mark
from tests.support.policy_files import lean, shipped

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CASE = CaseId("cas_" + "a" * 26)
ITEM = ItemId("itm_" + "a" * 26)
SYSTEMS = {"CBP": ("cbp-atsp", "MOU-EX-CBP-001"), "DOS": ("dos-ccd", "MOU-EX-DOS-001")}


def marking(owner: str, **changes: Any) -> Marking:
    """What a partner's answer of that owner is marked with, asked for by ICE-HSI."""
    system, agreement = SYSTEMS.get(owner, (None, None))
    members: dict[str, Any] = {
        "owner": AgencyId(owner),
        "custodian": AgencyId(owner),
        "source_system": PartnerId(system) if system else None,
        "source_reference": None,
        "agreement": agreement,
        "caveats": (),
        "asked_by": AgencyId("ICE-HSI"),
        "case_id": CASE,
        "at": NOON,
    }
    return mark(**(members | changes))


def terms(owner: str, *, item: str = ITEM, **changes: Any) -> Terms:
    """A grant's terms: *owner* lets exactly one item be released to FBI in a criminal matter."""
    members: dict[str, Any] = {
        "owner": AgencyId(owner),
        "recipients": (AgencyId("FBI"),),
        "include_components": False,
        "action": Action.RELEASE,
        "purposes": (PurposeId("criminal_investigation"),),
        "include_subpurposes": False,
        "scope": Scope(items=(ItemId(item),)),
        "fields": None,
        "valid_from": NOON - timedelta(days=1),
        "valid_until": NOON + timedelta(days=30),
        "max_uses": None,
        "onward": False,
        "caveats": (),
        "evidence": Evidence(reference="an invented letter", sha256=hashlib.sha256(b"letter").hexdigest()),
    }
    return Terms(**(members | changes))


@cache
def shipped_trees() -> Trees:
    """The agencies and purposes of the shipped policy."""
    bundle = from_files(lean(shipped()))
    return Trees(agencies=bundle.agencies, purposes=bundle.purposes, civil=bundle.civil_purposes)


def changed(held: Grant, trees: Trees | None = None, **changes: Any) -> Grant:
    """The grant as it would have been recorded with other terms, under these trees or the shipped ones."""
    given = held.terms.model_copy(update=changes)
    return held.model_copy(update={"terms": given, "reach": reach(given, trees or shipped_trees())})


def grant(owner: str, *, item: str = ITEM, trees: Trees | None = None, **changes: Any) -> Grant:
    """An active grant, recorded under *trees* or the shipped ones.

    *changes* name members of the terms, or `status`, `uses`, `id`.
    """
    own = {name: changes.pop(name) for name in ("status", "uses", "id") if name in changes}
    given = terms(owner, item=item, **changes)
    members: dict[str, Any] = {
        "id": GrantId(new_id("gra")),
        "terms": given,
        "reach": reach(given, trees or shipped_trees()),
        "status": GrantStatus.ACTIVE,
        "uses": 0,
        "recorded_by": Subject("olga"),
        "recorded_agency": AgencyId(owner),
        "recorded_at": NOON,
        "confirmed_by": None,
        "revoked_at": None,
        "revocation_reason": None,
    }
    return Grant(**(members | own))
