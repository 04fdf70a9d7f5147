"""The services of a broker in this process, on a real database: built as `broker.wiring` builds them.

What takes partners is left out: items are written as they would be after an answer. A test may put another loader in.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from broker.audit.events import Actor
from broker.cases.service import CaseService
from broker.decision.holding import Holdings
from broker.decision.loader import Loader
from broker.decision.service import DecisionService
from broker.grants.ending import GrantEndings
from broker.grants.model import Grant, Terms
from broker.grants.service import GrantService
from broker.items.model import Content, Source
from broker.items.reader import ItemReader
from broker.items.writer import ItemWriter
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId
from broker.kernel.words import Action, ItemKind
from broker.policy.activation import PolicyInForce, activate
from broker.policy.holder import Policies
from broker.policy.snapshot import PolicySnapshot
from broker.products.derive import DeriveService, Draft, Part
from broker.products.lead import LeadService
from broker.products.reimport import ImportService
from broker.products.review import Finding, Review, ReviewService
from broker.products.review_outcome import Disposition
from broker.products.verification import VerificationService
from broker.recall.service import RecallService
from broker.release.acceptance import AcceptanceService
from broker.release.exigent.ratification import RatificationService
from broker.release.held.escrow import HeldReleaseService
from broker.release.held.model import HeldRelease
from broker.release.holdings import ReleaseHoldings
from broker.release.model import Recipient, Release, ReleaseRequest
from broker.release.repository import ReleaseRepository
from broker.release.service import Refused, ReleaseService
from broker.storage.database import engine_for
from broker.storage.sealing import Sealer
from broker.storage.unit_of_work import UnitOfWork
from tests.support.items import an_item
from tests.support.permission import terms
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database

ANALYST = Actor(sub="ana", agency="ICE-HSI", roles=("analyst",))
OUTER_KEY = secrets.token_bytes(32)


def reviewer(sub: str, agency: str = "ICE-HSI") -> Actor:
    """Somebody who reviews."""
    return Actor(sub=sub, agency=agency, roles=("reviewer",))


def officer(agency: str) -> Actor:
    """The release officer of an owner."""
    return Actor(sub=f"olga.{agency}", agency=agency, roles=("release_officer",))


def analyst(agency: str) -> Actor:
    """An analyst of a recipient."""
    return Actor(sub=f"ari.{agency}", agency=agency, roles=("analyst",))


@cache
def shipped_policies() -> Policies:
    """The shipped policy, built once per process."""
    return Policies(SHIPPED, SystemClock())


@dataclass
class Workplace:
    """The services, and short ways to what most tests need first."""

    work: UnitOfWork
    policy: PolicySnapshot
    door: DecisionService
    cases: CaseService
    grants: GrantService
    endings: GrantEndings
    releases: ReleaseService
    acceptances: AcceptanceService
    held: HeldReleaseService
    ratifications: RatificationService
    reviews: ReviewService
    verifications: VerificationService
    derive: DeriveService
    leads: LeadService
    imports: ImportService
    writer: ItemWriter

    async def case(self, actor: Actor = ANALYST) -> CaseId:
        return (await self.cases.open(actor, f"HSI-{secrets.token_hex(4)}", "An invented case")).id

    async def listed(self, case: CaseId, *owners: str, candidates: int = 2, **changes: Any) -> ItemId:
        """A candidate list that nobody has reviewed, of a search that Ana asked for."""
        content = {"candidates": [{"id": f"c{n}", "reference": f"R-{n}"} for n in range(1, candidates + 1)]}
        kind = ItemKind.CANDIDATE_LIST
        return await self.item(case, *owners, kind=kind, content=content, candidates=candidates, **changes)

    async def review(self, item: str, sub: str, **dispositions: str) -> Review:
        """One reviewer's dispositions of the named candidates."""
        findings = tuple(Finding(candidate=c, disposition=Disposition(d), note=None) for c, d in dispositions.items())
        return await self.reviews.record(reviewer(sub), item, findings)

    def source(self, item: str) -> Source:
        """An item as a source of a part."""
        return Source(item=ItemId(item))

    async def lead(self, case: CaseId, *sources: str, kind: ItemKind = ItemKind.LEAD) -> ItemId:
        """Something written from these items."""
        part = Part(text="See the sources.", sources=tuple(Source(item=ItemId(one)) for one in sources))
        draft = Draft(kind=kind, title="t", case_id=case, parts=(part,))
        return (await self.derive.derive(ANALYST, draft, self.policy.bundle.purposes)).id

    async def item(
        self,
        case: CaseId,
        *owners: str,
        kind: ItemKind = ItemKind.LEAD,
        content: Content | None = None,
        caveats: tuple[str, ...] = (),
        **changes: Any,
    ) -> ItemId:
        """An item of ICE-HSI's with a part of each owner, as it would have come of reviewed lists."""
        item = an_item(case, owners, kind, caveats=caveats, **changes)
        if content is None:
            part = {"text": "p", "owners": sorted(owners), "sources": []}
            content = {"title": "t", "parts": [part]} if kind is not ItemKind.CANDIDATE_LIST else {"candidates": []}
        async with self.work.begin() as tx:
            await self.writer.write(tx, item, content)
        return item.id

    async def grant(self, owner: str, item: str, **changes: Any) -> Grant:
        """The owner's officer lets the item go to FBI, from a moment ago and for a month."""
        now = datetime.now(UTC)
        period = {"valid_from": now - timedelta(minutes=1), "valid_until": now + timedelta(days=30)}
        wanted: Terms = terms(owner, item=item, **(period | changes))
        return await self.grants.record(officer(owner), wanted, self.policy)

    async def release(
        self,
        case: CaseId,
        item: str,
        *,
        key: str | None = None,
        to: str = "FBI",
        actor: Actor = ANALYST,
        fields: tuple[str, ...] | None = None,
        danger: str | None = None,
    ) -> Release | Refused:
        """Ask for a release with a fresh key."""
        request = self.wish(case, item, to=to, fields=fields).model_copy(update={"danger": danger})
        key = key or secrets.token_hex(8)
        return await self.releases.release(actor, request, self.policy, key, f"{item}:{to}")

    async def passed_on(self, case: CaseId, item: str, *, to: str = "FBI", actor: Actor = ANALYST) -> Release:
        """A release that has to be made, with its caveats accepted by an analyst of the recipient."""
        made = await self.release(case, item, to=to, actor=actor)
        assert isinstance(made, Release), codes(made)
        return await self.acceptances.accept(analyst(to), made.id, made.caveats)

    async def hold(self, case: CaseId, item: str, *, to: str = "FBI", **how: Any) -> HeldRelease | Release | Refused:
        """Ask for a release that may wait."""
        key = how.get("key") or secrets.token_hex(8)
        return await self.held.hold(ANALYST, self.wish(case, item, to=to), how.get("expires_at"), key, f"{item}:{to}")

    def wish(
        self, case: CaseId, item: str, *, to: str = "FBI", fields: tuple[str, ...] | None = None
    ) -> ReleaseRequest:
        """A release that is complete."""
        return ReleaseRequest(
            item=ItemId(item),
            recipient=Recipient(agency=AgencyId(to), person="R. Invented", address="1 Sample Street"),
            action=Action.RELEASE,
            purpose=PurposeId("criminal_investigation"),
            case_id=case,
            fields=fields,
        )


@asynccontextmanager
async def workplace(
    database: Database,
    loader: Callable[[ItemReader, PolicyInForce], Loader] = Loader,
    policies: Policies | None = None,
    holdings: Callable[[], Holdings] | None = ReleaseHoldings,
) -> AsyncIterator[Workplace]:
    """Services on *database*, with the shipped policy in force."""
    engine = engine_for(database.app_url, pool_size=45)
    work = UnitOfWork(engine)
    sealer = Sealer(OUTER_KEY)
    held = policies or shipped_policies()
    writer = ItemWriter(sealer)
    door = DecisionService(work, loader(ItemReader(sealer), PolicyInForce(held)), holdings() if holdings else None)
    derive = DeriveService(work, door, writer)
    grants = GrantService(work)
    releases = ReleaseService(work, door, ReleaseRepository(sealer))
    try:
        async with work.begin() as tx:
            await activate(tx, held.current.bundle, "tests")
        yield Workplace(
            work=work,
            policy=held.current,
            door=door,
            cases=CaseService(work, SystemClock()),
            grants=grants,
            endings=GrantEndings(grants),
            releases=releases,
            acceptances=AcceptanceService(work, ReleaseRepository(sealer)),
            held=HeldReleaseService(work, releases, lambda: held.current),
            ratifications=RatificationService(work, RecallService(work)),
            reviews=ReviewService(work, door),
            verifications=VerificationService(work, door),
            derive=derive,
            leads=LeadService(work, door, derive),
            imports=ImportService(work, derive, writer),
            writer=writer,
        )
    finally:
        await engine.dispose()


def codes(answer: Release | Refused) -> set[str]:
    """The reasons of a refusal; empty for a release."""
    if isinstance(answer, Release):
        return set()
    outcome = answer.judgement.outcome
    assert not outcome
    return {reason.code.value for reason in outcome.reasons}


def owners_missing(answer: Release | Refused) -> list[str]:
    """Whose permission a refusal says is missing."""
    assert isinstance(answer, Refused)
    outcome = answer.judgement.outcome
    assert not outcome
    return sorted(one.owner for one in outcome.missing)


def everyone_at_once(*calls: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Sequence[Any]]:
    """Run the calls together; exceptions come back as values."""
    import asyncio

    async def gathered() -> Sequence[Any]:
        return await asyncio.gather(*calls, return_exceptions=True)

    return gathered()
