"""Caveats: restrictions that an owner put on an item or on a grant.

The codes and their texts are policy data (``policies/caveats.yaml``); what a code *does* is one of the checks
below, a closed set. A code without an entry, and a check that cannot be answered, are not met.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from pydantic import BaseModel, ConfigDict, Field

from broker.kernel.ids import AgencyId
from broker.kernel.tree import Tree


class Check(StrEnum):
    """What a caveat demands."""

    NOTICE = "notice"
    """Shown with each copy; it stops nothing by itself."""
    NEVER_PASSED_ON = "never_passed_on"
    """Nobody but the asking component and the owner."""
    WITHIN_OWNER_DEPARTMENT = "within_owner_department"
    """No recipient outside the owner's department."""
    OWNER_MUST_VERIFY = "owner_must_verify"
    """The owner has to have confirmed the content of exactly this item; nobody else's word stands for that."""


class Caveat(BaseModel):
    """One entry of the register of caveats."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{1,48}$")
    text: str = Field(min_length=1, max_length=500)
    check: Check
    restricts: bool = True
    """Whether what carries it has to be asked for although its owner frees what is unmarked; unsaid, it has."""


@dataclass(frozen=True, slots=True)
class Passing:
    """The circumstances a caveat is held against."""

    owner: AgencyId
    """Who put the caveat there."""
    recipient: AgencyId
    own_look: bool
    """Whether the component that asked for all of the owner's part only looks at it."""
    agencies: Tree
    verified: bool
    """Whether the owner's last word on exactly this item is that it is right."""
    settled: bool
    """Whether owner and recipient have stood where they stand in the tree since before the information came to be."""


def shortfall(caveat: Caveat, passing: Passing) -> str | None:
    """Why the caveat is not met, in words for the requester; None when it is met."""
    # The asking component's own look, and the owner's getting its own back, are no passing on.
    if passing.recipient == passing.owner or passing.own_look:
        return None
    match caveat.check:
        case Check.NOTICE:
            return None
        case Check.NEVER_PASSED_ON:
            return f"{caveat.code}: the owner lets nobody pass this on"
        case Check.WITHIN_OWNER_DEPARTMENT:
            department = passing.agencies.root(passing.owner)
            inside = department is not None and passing.agencies.within(passing.recipient, department)
            return (
                None if inside and passing.settled else f"{caveat.code}: only within the owner's department as it was"
            )
        case Check.OWNER_MUST_VERIFY:
            return None if passing.verified else f"{caveat.code}: the owner has not verified this, and nothing else can"
        case _:
            assert_never(caveat.check)
