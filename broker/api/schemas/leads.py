"""Bodies and replies of acting on leads."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from broker.api.schemas.words import Body, Line, Moment, Reply, Text, Word
from broker.kernel.ids import AgencyId, ItemId
from broker.products.corroboration import Corroboration, CorroborationKind
from broker.products.lead import ActionRecord, Concluded, Deed, LeadOutcome


class CorroboratingItem(Body):
    """An item that the caller may view."""

    item: Word


class CorroborationBody(Body):
    """Something beside the lead. Without a `source` it comes from outside, and says `where` and `when`."""

    kind: CorroborationKind
    description: Annotated[Text, Field(max_length=5000)]
    source: CorroboratingItem | None = None
    where: Line | None = None
    when: Moment | None = None


class NewAction(Body):
    """What was done on the strength of a lead, and what else spoke for it."""

    action: Line
    description: Text
    corroborations: Annotated[list[CorroborationBody], Field(max_length=50, default_factory=list)]

    def deed(self) -> Deed:
        """The same as a value of the field."""
        return Deed(
            action=self.action,
            description=self.description,
            corroborations=tuple(
                Corroboration(
                    kind=one.kind,
                    description=one.description,
                    source=None if one.source is None else ItemId(one.source.item),
                    where=one.where,
                    when=one.when,
                )
                for one in self.corroborations
            ),
        )


class NewOutcome(Body):
    """What became of a lead."""

    outcome: LeadOutcome


class ActionReply(Reply):
    """That something was done on a lead. What it was is the content of the item `id`, with the owners of all it names."""

    id: ItemId
    lead: ItemId
    owners: list[AgencyId]
    at: AwareDatetime
    corroborations: int
    independent: int


class ActionList(Reply):
    """What was done on a lead, in the order of time."""

    items: list[ActionReply]
    next: None
    complete: bool


class OutcomeReply(Reply):
    """What became of a lead."""

    id: str
    lead: ItemId
    outcome: LeadOutcome
    at: AwareDatetime


def action_reply(action: ActionRecord) -> ActionReply:
    """The outward form of an action's record."""
    return ActionReply.model_validate(action.model_dump() | {"owners": list(action.owners)})


def outcome_reply(concluded: Concluded) -> OutcomeReply:
    """The outward form of an outcome."""
    return OutcomeReply.model_validate(concluded.model_dump())
