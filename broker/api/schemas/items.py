"""Bodies and replies of items. A reply with content is made of a `Released` and of nothing else."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Line, Pointer, Reply, Text, Word
from broker.decision.service import Released
from broker.items.model import Item, Source
from broker.kernel.ids import AgencyId, CaseId, DecisionId, ItemId, ReviewId
from broker.kernel.words import ItemKind
from broker.products.derive import Draft, Part
from broker.products.review import Finding, Progress, Review, Reviews
from broker.products.review_outcome import Disposition, ReviewState
from broker.provenance.marking import Marking


class SourceBody(Body):
    """One source of a part."""

    item: Word
    selector: Pointer | None = None


class PartBody(Body):
    """One paragraph of what is written. Without sources it is the author's component's own."""

    text: Text
    sources: Annotated[list[SourceBody], Field(max_length=200, default_factory=list)]


class NewItem(Body):
    """Something to be written from items."""

    kind: ItemKind
    title: Line
    case_id: Word
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=200)]
    left_out: Annotated[list[Line], Field(max_length=200, default_factory=list)]
    """For a redaction: what it leaves out, in words."""

    def draft(self) -> Draft:
        """The same as a value of the field."""
        return Draft(
            kind=self.kind,
            title=self.title,
            case_id=CaseId(self.case_id),
            left_out=tuple(self.left_out),
            parts=tuple(
                Part(
                    text=part.text,
                    sources=tuple(Source(item=ItemId(one.item), selector=one.selector) for one in part.sources),
                )
                for part in self.parts
            ),
        )


class NewImport(Body):
    """A copy that the caller's component was given, as it came from `…/package`, to be an item again.

    What the copy says of its owners is not believed; they are those of the item that it is recognised as.
    """

    package: dict[str, Any]
    case_id: Word


class FindingBody(Body):
    """One candidate's disposition."""

    candidate: Word
    disposition: Disposition
    note: Annotated[Text, Field(max_length=2000)] | None = None


class NewReview(Body):
    """A reviewer's dispositions."""

    dispositions: Annotated[list[FindingBody], Field(min_length=1, max_length=50)]

    def findings(self) -> tuple[Finding, ...]:
        """The same as values of the field."""
        return tuple(
            Finding(candidate=one.candidate, disposition=one.disposition, note=one.note) for one in self.dispositions
        )


class MarkingReply(Reply):
    """One owner's part in an item."""

    owner: AgencyId
    custodian: AgencyId
    source_system: str | None
    source_reference: str | None
    agreement: str | None
    caveats: list[str]
    asked_by: AgencyId
    at: AwareDatetime
    selectors: list[str] | None
    """The places of the content that it is about, as JSON Pointers; null for the whole."""


class ItemHead(Reply):
    """An item without what it says."""

    id: ItemId
    kind: ItemKind
    case_id: CaseId
    owners: list[AgencyId]
    custodian: AgencyId
    created_at: AwareDatetime
    expires_at: AwareDatetime | None


class ItemReply(ItemHead):
    """An item that has passed the door. `caveats` are all that hold for whoever looks, those of grants among them."""

    caveats: list[str]
    markings: list[MarkingReply]
    content: dict[str, Any]
    decision_id: DecisionId


class LineageSource(Reply):
    """A source and the part, from 0, that uses it."""

    part: int
    item: ItemId
    selector: str | None


class LineageReply(Reply):
    """What an item derives from, and whose that is."""

    id: ItemId
    owners: list[AgencyId]
    markings: list[MarkingReply]
    sources: list[LineageSource]
    roots: list[ItemId]
    verified: list[AgencyId]
    """Owners whose last word on exactly this item is that it is right."""
    unconfirmed: list[AgencyId]
    """Owners who did not confirm this, or something that it is made of."""


class ProgressReply(Reply):
    """How far the review of a list is.

    `complete`: it has all it needs, two people who agree on every candidate or, where they `disputed` some, a third who
    has `resolved` it. `reviewers` have given every candidate a disposition.
    """

    item: ItemId
    state: ReviewState
    complete: bool
    reviewers: int
    disputed: list[str]
    resolved: bool


class ReviewReply(ProgressReply):
    """What was recorded."""

    id: ReviewId


class DispositionReply(Reply):
    """One reviewer's word on one candidate."""

    reviewer: str
    disposition: Disposition
    note: str | None
    at: AwareDatetime


class CandidateReviewReply(Reply):
    """What was said of one candidate. `outcome` is null before two have been through the list."""

    candidate: str
    outcome: Disposition | None
    dispositions: list[DispositionReply]


class ReviewsReply(ProgressReply):
    """What is on record of a list's review; what others said is `withheld` from whoever may still say something."""

    withheld: bool
    candidates: list[CandidateReviewReply]


def item_head(item: Item) -> ItemHead:
    """The outward form of an item's head."""
    return ItemHead.model_validate(_head(item))


def item_reply(released: Released) -> ItemReply:
    """The outward form of an item that has passed the door."""
    return ItemReply(
        **_head(released.item),
        caveats=list(released.caveats),
        markings=[marking_reply(one) for one in released.item.lineage.markings],
        content=released.content,
        decision_id=released.judgement.id,
    )


def marking_reply(marking: Marking) -> MarkingReply:
    """The outward form of a marking."""
    selectors = None if marking.selectors is None else list(marking.selectors)
    own = marking.model_dump(exclude={"caveats", "case_id", "selectors"})
    return MarkingReply(**own, caveats=list(marking.caveats), selectors=selectors)


def review_reply(review: Review) -> ReviewReply:
    """The outward form of a review."""
    return ReviewReply(id=review.id, **_progress(review))


def reviews_reply(reviews: Reviews) -> ReviewsReply:
    """The outward form of all that is on record of a list's review."""
    return ReviewsReply(
        **_progress(reviews),
        withheld=reviews.withheld,
        candidates=[
            CandidateReviewReply(
                candidate=one.candidate,
                outcome=one.outcome,
                dispositions=[DispositionReply(**word.model_dump(exclude={"candidate"})) for word in one.words],
            )
            for one in reviews.candidates
        ],
    )


def _progress(progress: Progress) -> dict[str, Any]:
    return {
        "item": progress.item,
        "state": progress.state,
        "complete": progress.state.settled,
        "reviewers": progress.reviewers,
        "disputed": list(progress.disputed),
        "resolved": progress.state is ReviewState.RESOLVED,
    }


def _head(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "case_id": item.case_id,
        "owners": sorted(item.lineage.owners),
        "custodian": item.component,
        "created_at": item.created_at,
        "expires_at": item.lineage.expires_at,
    }
