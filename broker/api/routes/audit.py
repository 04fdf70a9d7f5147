"""The audit, and the named reports over it. Reading either is itself recorded."""

import base64
from datetime import UTC, date, datetime, time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from broker.api.auth import Caller
from broker.api.deps import Allowed, ServicesDep
from broker.api.schemas.audit import (
    CheckpointReply,
    CoverageReply,
    EntryList,
    EntryReply,
    ProofReply,
    ReportList,
    ReportName,
    ReportReply,
)
from broker.api.strict_bodies import StrictRoute
from broker.audit.reader import Filters
from broker.kernel.errors import Invalid
from broker.kernel.words import Role
from broker.policy.question import Act

router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["oversight"])

_FIRST_DAY: Final = date(2017, 1, 1)
"""From when on oversight bodies ask, unless they say otherwise."""
Auditing = Annotated[Caller, Depends(Allowed(Act.AUDIT_READ))]
Overseeing = Annotated[Caller, Depends(Allowed(Act.OVERSIGHT_READ))]


class EntryQuery:
    """Which entries are asked for; all that is given must hold."""

    def __init__(
        self,
        tag: Annotated[str | None, Query(max_length=100)] = None,
        actor: Annotated[str | None, Query(max_length=200)] = None,
        subject: Annotated[str | None, Query(max_length=100)] = None,
        since: Annotated[str | None, Query(max_length=40)] = None,
        until: Annotated[str | None, Query(max_length=40)] = None,
    ) -> None:
        self.filters = Filters(
            tag=tag,
            actor=actor,
            subject=subject,
            since=_beginning(_moment(since, "since")) if since is not None else None,
            until=_beginning(_moment(until, "until")) if until is not None else None,
        )


@router.get("/audit/entries")
async def list_entries(
    caller: Auditing,
    held: ServicesDep,
    query: Annotated[EntryQuery, Depends()],
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> EntryList:
    """Entries newest first: all of them for an auditor, the own agency's acts for a release officer."""
    page = await held.trail.entries(caller.actor, query.filters, after, limit)
    return EntryList(
        items=[EntryReply(**{**one.model_dump(), "actor_roles": list(one.actor_roles)}) for one in page.items],
        next=page.next,
        complete=page.next is None,
    )


@router.get("/audit/checkpoint")
async def read_checkpoint(caller: Auditing, held: ServicesDep) -> CheckpointReply:
    """The newest signed head of the log, for an owner to keep."""
    checkpoint = await held.trail.checkpoint(caller.actor)
    return CheckpointReply(
        size=checkpoint.size,
        root=_base64(checkpoint.root),
        at=checkpoint.at,
        text=checkpoint.text,
    )


@router.get("/audit/proof")
async def read_proof(
    caller: Auditing, held: ServicesDep, event: Annotated[str, Query(min_length=1, max_length=100)]
) -> ProofReply:
    """A proof that an entry is part of the newest checkpoint."""
    proof = await held.trail.proof(caller.actor, event)
    return ProofReply(
        event_id=proof.event_id,
        index=proof.index,
        size=proof.size,
        leaf=proof.leaf,
        path=[_base64(step) for step in proof.path],
        checkpoint=proof.checkpoint.text,
    )


@router.get("/oversight/reports")
async def list_reports(caller: Overseeing, held: ServicesDep) -> ReportList:
    """Every named report and what it counts."""
    del caller
    names = [ReportName(name=name, definition=text) for name, text in held.reports.names().items()]
    return ReportList(items=names, next=None, complete=True)


@router.get("/oversight/reports/{name}")
async def read_report(
    name: str,
    caller: Overseeing,
    held: ServicesDep,
    since: Annotated[str | None, Query(max_length=40)] = None,
    until: Annotated[str | None, Query(max_length=40)] = None,
    item: Annotated[str | None, Query(max_length=40, pattern=r"^[a-z0-9_]+$")] = None,
) -> ReportReply:
    """A report over [since, until): days or moments, in UTC; from 2017-01-01 and until now unless said otherwise.

    A day as `until` is not included, but for a report on how things stood, which takes it at its end; its definition says so.
    `item` is for reports about one item.
    """
    report = await held.reports.run(
        caller.actor,
        name,
        _beginning(_FIRST_DAY if since is None else _moment(since, "since")),
        _moment(until, "until") if until is not None else None,
        None if Role.AUDITOR in caller.roles else caller.agency,
        held.policies.current.bundle.partners,
        item,
    )
    return ReportReply(
        name=report.name,
        definition=report.definition,
        coverage=CoverageReply(since=report.coverage.since, until=report.coverage.until, note=report.coverage.note),
        rows=report.rows,
        entries=report.entries,
    )


def _beginning(day: datetime | date) -> datetime:
    return day if isinstance(day, datetime) else datetime.combine(day, time(), UTC)


def _moment(text: str, name: str) -> datetime | date:
    try:
        if len(text) == len("2017-01-01"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"`{name}` is a day such as 2017-01-01, or a moment with its zone", f"/{name}") from None
    if moment.tzinfo is None:
        raise Invalid(f"`{name}` needs its zone, such as 2017-01-01T00:00:00Z", f"/{name}")
    return moment


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
