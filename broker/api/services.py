"""Everything a route may call, put together once by ``broker.wiring``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from broker.api.auth import Authenticator
from broker.cases.service import CaseService
from broker.decision.service import DecisionService
from broker.grants.ending import GrantEndings
from broker.grants.service import GrantService
from broker.kernel.clock import Clock
from broker.notify.inbox import InboxService
from broker.oversight.reports import Reports
from broker.oversight.traffic import Traffic
from broker.oversight.trail import AuditTrail
from broker.participants.service import ParticipantService
from broker.partners.registry import Registry
from broker.policy.holder import Policies
from broker.processes.register import ProcessRegister
from broker.products.derive import DeriveService
from broker.products.lead import LeadService
from broker.products.reimport import ImportService
from broker.products.review import ReviewService
from broker.products.verification import VerificationService
from broker.recall.overdue import OverdueService
from broker.recall.service import RecallService
from broker.release.acceptance import AcceptanceService
from broker.release.exigent.ratification import RatificationService
from broker.release.held.escrow import HeldReleaseService
from broker.release.impact import ImpactService
from broker.release.permission.answers import AnswerService
from broker.release.permission.requests import PermissionService
from broker.release.reliance import RelianceService
from broker.release.service import ReleaseService
from broker.search.callbacks import Callbacks
from broker.search.service import SearchService
from broker.search.watch import SearchWatch


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, and what the edge itself needs."""

    clock: Clock
    authenticator: Authenticator
    policies: Policies
    registry: Registry
    cases: CaseService
    participants: ParticipantService
    searches: SearchService
    watch: SearchWatch
    callbacks: Callbacks
    door: DecisionService
    reviews: ReviewService
    verifications: VerificationService
    derive: DeriveService
    leads: LeadService
    imports: ImportService
    releases: ReleaseService
    acceptances: AcceptanceService
    held_releases: HeldReleaseService
    ratifications: RatificationService
    impacts: ImpactService
    permissions: PermissionService
    answers: AnswerService
    grants: GrantService
    endings: GrantEndings
    reliance: RelianceService
    recall: RecallService
    overdue: OverdueService
    inbox: InboxService
    trail: AuditTrail
    reports: Reports
    processes: ProcessRegister
    traffic: Traffic
    digest_in_force: Callable[[], Awaitable[str | None]]
    ready: Callable[[], Awaitable[bool]]
