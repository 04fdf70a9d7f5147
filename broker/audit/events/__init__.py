"""Every act that is recorded, as a closed set of classes: a module for each subject, all of them handed on here.

The tag reads ``subject:object:action``. `subjects` are the ids by which an entry is found again; `detail` is the
rest. Neither ever holds the content of an item or of a probe: the audit is read by people who may not see those.
"""

from broker.audit.events.base import Actor, AuditEvent, service_actor
from broker.audit.events.grants import (
    GrantConfirmed,
    GrantEnteredInError,
    GrantErrorBegun,
    GrantRecorded,
    GrantRelied,
    GrantResumed,
    GrantRevocationBegun,
    GrantRevoked,
    GrantSuperseded,
    GrantSupersessionBegun,
    GrantSuspended,
    GrantUsed,
)
from broker.audit.events.items import (
    Decided,
    ItemDerived,
    ItemRecognised,
    ItemReviewed,
    ReleaseRead,
    ReviewDisputed,
    ReviewResolved,
)
from broker.audit.events.notification import NotificationDelivered, NotificationRead
from broker.audit.events.participants import (
    HandedOver,
    ParticipantEnded,
    ParticipantEnrolled,
    ParticipantsRead,
    TermsAccepted,
)
from broker.audit.events.permission import (
    PermissionAcknowledged,
    PermissionAnswered,
    PermissionExpired,
    PermissionInformed,
    PermissionRequested,
    PermissionWithdrawn,
)
from broker.audit.events.recall import NoticeAcknowledged, NoticeLifted, NoticeRecorded, NoticeReminded
from broker.audit.events.release import (
    CaveatsAccepted,
    ExigentAnswered,
    ExigentRead,
    HeldReleaseEnded,
    PackageWithheld,
    ReleasedExigently,
    ReleaseHeld,
)
from broker.audit.events.reliance import (
    ActionRecorded,
    OutcomeRecorded,
    VerificationAnswered,
    VerificationRequested,
)
from broker.audit.events.search import (
    CallbackRefused,
    CaseClosed,
    CaseOpened,
    LegEnded,
    LegSent,
    SearchCancelled,
    SearchRead,
    SearchRequested,
)
from broker.audit.events.service import AuditRead, CallRefused, PolicyActivated, PolicyRefused, ReportRead

__all__ = [
    "EVENTS",
    "ActionRecorded",
    "Actor",
    "AuditEvent",
    "AuditRead",
    "CallRefused",
    "CallbackRefused",
    "CaseClosed",
    "CaseOpened",
    "CaveatsAccepted",
    "Decided",
    "ExigentAnswered",
    "ExigentRead",
    "GrantConfirmed",
    "GrantEnteredInError",
    "GrantErrorBegun",
    "GrantRecorded",
    "GrantRelied",
    "GrantResumed",
    "GrantRevocationBegun",
    "GrantRevoked",
    "GrantSuperseded",
    "GrantSupersessionBegun",
    "GrantSuspended",
    "GrantUsed",
    "HandedOver",
    "HeldReleaseEnded",
    "ItemDerived",
    "ItemRecognised",
    "ItemReviewed",
    "LegEnded",
    "LegSent",
    "NoticeAcknowledged",
    "NoticeLifted",
    "NoticeRecorded",
    "NoticeReminded",
    "NotificationDelivered",
    "NotificationRead",
    "OutcomeRecorded",
    "PackageWithheld",
    "ParticipantEnded",
    "ParticipantEnrolled",
    "ParticipantsRead",
    "PermissionAcknowledged",
    "PermissionAnswered",
    "PermissionExpired",
    "PermissionInformed",
    "PermissionRequested",
    "PermissionWithdrawn",
    "PolicyActivated",
    "PolicyRefused",
    "ReleaseHeld",
    "ReleaseRead",
    "ReleasedExigently",
    "ReportRead",
    "ReviewDisputed",
    "ReviewResolved",
    "SearchCancelled",
    "SearchRead",
    "SearchRequested",
    "TermsAccepted",
    "VerificationAnswered",
    "VerificationRequested",
    "service_actor",
]

EVENTS: tuple[type[AuditEvent], ...] = tuple(AuditEvent.__subclasses__())
