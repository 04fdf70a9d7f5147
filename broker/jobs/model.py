"""What an agency may be told, as closed words and ids. Pure."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, field_validator

from broker.kernel.ids import AgencyId, is_opaque_id

_NAME: Final = re.compile(r"[a-z]+(_[a-z]+)*\Z")


class Happened(StrEnum):
    """What an agency is told of. Beside each: who is told."""

    PERMISSION_REQUESTED = "permission_requested"
    """The owner that is asked."""
    PERMISSION_ANSWERED = "permission_answered"
    """The requester's component, at each answer of an owner; also where an owner asks back."""
    PERMISSION_INFORMED = "permission_informed"
    """The owner that asked back: the requester has answered."""
    PERMISSION_WITHDRAWN = "permission_withdrawn"
    """The owner that has not answered yet."""
    PERMISSION_EXPIRED = "permission_expired"
    """The requester's component, and the owner that did not answer."""
    GRANT_RECORDED = "grant_recorded"
    """The owner, when somebody else has recorded its permission."""
    GRANT_RELIED_ON = "grant_relied_on"
    """The owner, where its grant makes that a duty."""
    NOTICE_RECORDED = "notice_recorded"
    """Every recipient on record of what the notice reaches."""
    NOTICE_LIFTED = "notice_lifted"
    """The same recipients."""
    NOTICE_UNACKNOWLEDGED = "notice_unacknowledged"
    """The recipient that has not acknowledged in time, and the owner, once a day."""
    EXIGENT_RELEASE = "exigent_release"
    """The owner, at once."""
    EXIGENT_RELEASE_ENDED = "exigent_release_ended"
    """The requester's component: ratified, or refused."""
    RELEASE_HELD_ENDED = "release_held_ended"
    """The requester's component: released, or refused."""
    VERIFICATION_REQUESTED = "verification_requested"
    """The owner that is asked to verify."""
    VERIFICATION_ANSWERED = "verification_answered"
    """The component that asked."""


class Message(BaseModel):
    """What one agency is told. `about` names ids by their kind, e.g. ``{"permission_request": "req_…"}``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    to: AgencyId
    subject: Happened
    about: Mapping[str, str]
    at: AwareDatetime

    @field_validator("about")
    @classmethod
    def _ids_only(cls, about: Mapping[str, str]) -> Mapping[str, str]:
        if not about or not all(_NAME.match(name) and is_opaque_id(value) for name, value in about.items()):
            raise ValueError("a message is about ids, and about nothing else")
        return about
