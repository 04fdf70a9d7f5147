"""What stands beside a lead before anybody acts on it (R9): at least one thing that does not come from the same search.

Pure. An answer and what is made of it cannot confirm itself, however often it is copied; nor can the same probe, asked
again. What cannot be told counts as not independent.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import ItemId


class CorroborationKind(StrEnum):
    """What sort of thing it is."""

    WITNESS = "witness"
    DOCUMENT = "document"
    RECORD = "record"
    PHYSICAL_EVIDENCE = "physical_evidence"
    OBSERVATION = "observation"
    OTHER = "other"


class Corroboration(BaseModel):
    """Something beside the lead: an item, or what is known from outside the broker and then names where and when."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: CorroborationKind
    description: str
    source: ItemId | None
    where: str | None
    when: AwareDatetime | None

    @property
    def complete(self) -> bool:
        """Whether somebody else could go and look: an item, or what, where and when."""
        return self.source is not None or (self.where is not None and self.when is not None)

    @property
    def text(self) -> str:
        """The same as a paragraph."""
        told = f"{self.kind.value}: {self.description}"
        if self.where is not None:
            told += f"\nWhere: {self.where}"
        if self.when is not None:
            told += f"\nWhen: {self.when.isoformat()}"
        return told


@dataclass(frozen=True, slots=True)
class Origins:
    """Where an item comes from: itself and everything that it is made of, and the searches behind its lists."""

    items: frozenset[ItemId]
    searches: frozenset[str]
    probes: frozenset[str]
    known: bool
    """False where a list behind it is not on record any more, so that its search cannot be told."""


def independent(of_lead: Origins, other: Origins, lead: ItemId) -> bool:
    """Whether *other* says something that the lead's searches have not said."""
    if lead in other.items:
        return False
    if not other.searches and other.known:
        return True
    return (
        other.known
        and of_lead.known
        and of_lead.searches.isdisjoint(other.searches)
        and of_lead.probes.isdisjoint(other.probes)
    )


def without_origin(corroborations: Collection[Corroboration]) -> int:
    """How many come from outside the broker."""
    return sum(one.source is None for one in corroborations)
