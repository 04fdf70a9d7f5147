"""Exigent release (R13, 28 CFR 23.20(e)(2)): in imminent danger, to a named person, without waiting. Values; pure.

It stands for a permission that is missing and for nothing else. Every owner whose permission was missing is told at
once and ratifies or refuses. The copy may be had for a day; after that only if every one of them has ratified, as silence
is never consent. One refusal ends it.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.decision.model import Exigency
from broker.kernel.ids import AgencyId, ItemId, ReleaseId, Subject

LIFETIME: Final = timedelta(hours=24)
FEWEST_WORDS: Final = 5
"""Of a danger's description: a word or two describe none."""


class OwnerState(StrEnum):
    """What one owner has said. Whoever has said nothing has not consented."""

    SILENT = "silent"
    RATIFIED = "ratified"
    REFUSED = "refused"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ExigentPart(_Value):
    """One owner's part: whose permission was missing, when it was told and first read it, and what it said."""

    owner: AgencyId
    state: OwnerState
    read_at: AwareDatetime | None
    answered_by: Subject | None
    answered_at: AwareDatetime | None
    note: str | None


class SaidBefore(_Value):
    """The owners who have refused an earlier exigent release, and those who let its day pass without a word."""

    refused: tuple[AgencyId, ...]
    lapsed: tuple[AgencyId, ...]


class ExigentRelease(_Value):
    """An exigent release and its owners' answers."""

    id: ReleaseId
    item: ItemId
    component: AgencyId
    requested_by: Subject
    recipient: AgencyId
    person: str
    danger: str
    at: AwareDatetime
    until: AwareDatetime
    parts: tuple[ExigentPart, ...]

    def part_of(self, owner: str) -> ExigentPart | None:
        """That owner's part."""
        return next((part for part in self.parts if part.owner == owner), None)

    @property
    def exigency(self) -> Exigency:
        """What of it the gate has to know when its copy is asked for."""
        return Exigency(
            until=self.until,
            ratified=tuple(part.owner for part in self.parts if part.state is OwnerState.RATIFIED),
            refused=tuple(part.owner for part in self.parts if part.state is OwnerState.REFUSED),
            told=tuple(part.owner for part in self.parts),
        )
