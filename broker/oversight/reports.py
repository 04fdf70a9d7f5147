"""Running a named report, and saying from when on there are records at all."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import text

from broker.audit.events import Actor, ReportRead
from broker.audit.reader import WITHHELD
from broker.audit.recorder import record
from broker.kernel.clock import Clock
from broker.kernel.errors import Invalid, NotFound
from broker.kernel.partner import PartnerEntry
from broker.oversight.queries import QUERIES
from broker.oversight.query import Query
from broker.storage.unit_of_work import Transaction, UnitOfWork

_ENTRIES: Final = 1000
"""Audit entries named under a report, at most; `GET /v1/audit/entries` has them all."""
_FIRST: Final = text("SELECT min(at) FROM audit_entry")
_BEHIND: Final = text(
    "SELECT event_id FROM audit_entry WHERE tag = ANY (:tags) AND at >= :since AND at < :until"
    " AND (CAST(:agencies AS text[]) IS NULL OR actor_agency = ANY (CAST(:agencies AS text[]))"
    f" AND NOT {WITHHELD.format(entry='audit_entry')})"
    " ORDER BY at, id LIMIT :most"
)


class Coverage(BaseModel):
    """The part of the asked period for which records exist. `since` is None when there are none at all."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    since: AwareDatetime | None
    until: AwareDatetime
    note: str


class Report(BaseModel):
    """What a report found."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    definition: str
    coverage: Coverage
    rows: list[dict[str, Any]]
    entries: list[str]
    """Event ids of the audit entries behind the rows, the first of them where there are very many."""


class Reports:
    """The named reports."""

    def __init__(self, work: UnitOfWork, clock: Clock) -> None:
        self._work = work
        self._clock = clock

    def names(self) -> dict[str, str]:
        """Every report and what it counts."""
        return {name: query.definition for name, query in QUERIES.items()}

    async def run(
        self,
        actor: Actor,
        name: str,
        since: datetime,
        until: datetime | date | None,
        agency: str | None,
        partners: Collection[PartnerEntry],
        item: str | None = None,
    ) -> Report:
        """Run a report; *item* is the one that a report about one item is about. *until* may be a day: its beginning, or its
        end where the report says how things stood. With *agency*, only what is that agency's business: its partners, its information, its acts.
        """
        query = QUERIES.get(name)
        if query is None:
            raise NotFound
        until = self._end(until, query)
        if not since < until:
            raise Invalid("`until` must be later than `since`", "/until")
        if item is None and ":item" in query.sql:
            raise Invalid("this report is about one item; say which", "/item")
        owned = None if agency is None else [entry.id for entry in partners if entry.owner == agency]
        scope = {
            "since": since,
            "until": until,
            "owners": None if agency is None else [agency],
            "partners": owned,
            "verifying": [entry.id for entry in partners if _verifies(entry, agency)],
            "item": item,
        }
        used = {key: value for key, value in scope.items() if f":{key}" in query.sql}
        async with self._work.begin() as tx:
            # Recorded first, so that a report's own reading is never behind its own rows.
            await record(
                tx,
                ReportRead(actor=actor, report=name, since=since.isoformat(), until=until.isoformat()),
            )
            rows = [_plain(dict(row)) for row in (await tx.execute(text(query.sql), used)).mappings()]
            entries = await tx.execute(
                _BEHIND,
                {
                    "tags": list(query.tags),
                    "since": since,
                    "until": until,
                    "agencies": None if agency is None else [agency],
                    "most": _ENTRIES,
                },
            )
            coverage = await self._coverage(tx, since, until)
            return Report(
                name=name,
                definition=query.definition,
                coverage=coverage,
                rows=rows,
                entries=list(entries.scalars()),
            )

    def _end(self, until: datetime | date | None, query: Query) -> datetime:
        if until is None or isinstance(until, datetime):
            return until or self._clock.now()
        # The latest moment of a day, because the last day of all has no other one behind it.
        return datetime.combine(until, time.max if query.as_of else time.min, UTC)

    async def _coverage(self, tx: Transaction, since: datetime, until: datetime) -> Coverage:
        first: datetime | None = (await tx.execute(_FIRST)).scalar_one()
        if first is None or first >= until:
            return Coverage(since=None, until=until, note="there are no records of this period")
        if first > since:
            day = first.date().isoformat()
            return Coverage(since=first, until=until, note=f"no records before {day}; what was done then is not known")
        return Coverage(since=since, until=until, note="records exist for the whole period")


def _verifies(entry: PartnerEntry, agency: str | None) -> bool:
    served = entry.participation
    return served is not None and (agency is None or agency in (entry.owner, served.agency))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
