"""What is recorded of cases, searches, their legs and partners' callbacks."""

from broker.audit.events.base import AuditEvent


class CaseOpened(AuditEvent):
    """A matter was registered."""

    tag = "case:register:opened"
    case_id: str


class CaseClosed(AuditEvent):
    """A matter takes no further search."""

    tag = "case:register:closed"
    case_id: str


class SearchRequested(AuditEvent):
    """A search was accepted; it is counted once, whatever it takes to get an answer."""

    tag = "search:request:accepted"
    search_id: str
    case_id: str
    purpose: str
    predicate: str
    evidentiary_basis: str
    civil_enforcement_only: bool
    exigent: bool
    probe_sha256: str
    partners: tuple[str, ...]


class SearchCancelled(AuditEvent):
    """The requester ended what had no answer yet."""

    tag = "search:request:cancelled"
    search_id: str


class SearchRead(AuditEvent):
    """Somebody looked at how far a search is."""

    tag = "search:record:read"
    search_id: str


class LegSent(AuditEvent):
    """One call went out. The first is the search; later ones are retries of it."""

    tag = "search:leg:sent"
    search_id: str
    partner: str
    transaction_id: str
    attempt: int


class LegEnded(AuditEvent):
    """One partner's part is over; `state` says how, `reason` why where it is not an answer."""

    tag = "search:leg:ended"
    search_id: str
    partner: str
    transaction_id: str
    state: str
    reason: str | None
    rules: tuple[str, ...] = ()
    """The authored lines for which the rules refused it, as file:line."""
    item_id: str | None


class CallbackRefused(AuditEvent):
    """A callback was not shown to be the partner's, or belongs to no leg."""

    tag = "partner:callback:refused"
    partner: str
    reason: str
