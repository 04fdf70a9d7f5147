"""Closed lists of the field's words that the contract fixes. What may be authored (agencies, purposes, caveats) is policy data."""

from enum import StrEnum


class Role(StrEnum):
    """What a caller is, as the token says."""

    ANALYST = "analyst"
    REVIEWER = "reviewer"
    RELEASE_OFFICER = "release_officer"
    LIAISON = "liaison"
    POLICY_AUTHOR = "policy_author"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Action(StrEnum):
    """What somebody wants to do with an item. Use in proceedings is another action than passing on."""

    VIEW = "view"
    RELEASE = "release"
    USE_IN_PROCEEDINGS = "use_in_proceedings"


class ItemKind(StrEnum):
    """Kinds of item. Only a candidate list comes from a partner; all others are derived."""

    CANDIDATE_LIST = "candidate_list"
    LEAD = "lead"
    NOTE = "note"
    SUMMARY = "summary"
    COUNT = "count"
    REDACTION = "redaction"
    COMPARISON = "comparison"
    """Two or more sources side by side."""
    ACTION_RECORD = "action_record"
    """What was done on the strength of a lead."""

    @property
    def written(self) -> bool:
        """Whether an author writes one freely; a list comes from a partner, an action record has conditions."""
        return self not in (ItemKind.CANDIDATE_LIST, ItemKind.ACTION_RECORD)


class Predicate(StrEnum):
    """Why the case is open (FBI FACE Services PIA, 2015)."""

    ASSESSMENT = "assessment"
    INVESTIGATION = "investigation"
    VICTIM_IDENTIFICATION = "victim_identification"
    DECEASED_IDENTIFICATION = "deceased_identification"
    EXIGENT = "exigent"


class EvidentiaryBasis(StrEnum):
    """In rising order; the owner sets the floor, as no single federal standard exists."""

    NONE = "none"
    ARTICULABLE_LEAD = "articulable_lead"
    REASONABLE_SUSPICION = "reasonable_suspicion"
    PROBABLE_CAUSE = "probable_cause"
    COURT_ORDER = "court_order"


class ProbeKind(StrEnum):
    """What sort of image the probe is."""

    PHOTO = "photo"
    VIDEO_STILL = "video_still"
    DOCUMENT = "document"
    SKETCH = "sketch"
    COMPOSITE = "composite"
    EDITED = "edited"


class ReasonCode(StrEnum):
    """Why a decision is a Deny."""

    PERMISSION_MISSING = "permission_missing"
    POLICY_FORBIDS = "policy_forbids"
    CAVEAT_UNMET = "caveat_unmet"
    GRANT_EXHAUSTED = "grant_exhausted"
    GRANT_EXPIRED = "grant_expired"
    GRANT_REVOKED = "grant_revoked"
    GRANT_SUPERSEDED = "grant_superseded"
    GRANT_ENTERED_IN_ERROR = "grant_entered_in_error"
    NOT_REVIEWED = "not_reviewed"
    EXIGENT_REFUSED = "exigent_refused"
    """The owner has refused an exigent release afterwards."""
    EXIGENT_LAPSED = "exigent_lapsed"
    """A day has passed since an exigent release, and the owner has not ratified it."""
    NOT_HELD = "not_held"
    """A recipient wants to pass on more than was released to it."""
    NO_PROVENANCE = "no_provenance"
    QUESTION_INCOMPLETE = "question_incomplete"
    ITEM_EXPIRED = "item_expired"
    ITEM_RECALLED = "item_recalled"
    ENGINE_FAILURE = "engine_failure"


class LegState(StrEnum):
    """Where one partner's part of a search stands."""

    QUEUED = "queued"
    SENT = "sent"
    PENDING = "pending"
    ANSWERED = "answered"
    NO_HIT = "no_hit"
    REFUSED = "refused"
    PARTNER_ERROR = "partner_error"
    TIMED_OUT = "timed_out"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more is expected of the partner."""
        return self not in (LegState.QUEUED, LegState.SENT, LegState.PENDING)


class SearchStatus(StrEnum):
    """`incomplete`: every leg is final, and at least one gave no answer."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
