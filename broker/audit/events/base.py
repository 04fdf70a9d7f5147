"""What every recorded act is built on, and who acts.

The tag reads ``subject:object:action``. `subjects` are the ids by which an entry is found again; `detail` is the
rest. Neither ever holds the content of an item or of a probe: the audit is read by people who may not see those.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Actor(BaseModel):
    """Who acted: a person as their token named them, or a part of the service itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sub: str
    agency: str
    roles: tuple[str, ...] = ()
    kind: Literal["person", "service"] = "person"
    enrolled: tuple[str, ...] = ()
    """The partners that a person's token says they are enrolled for. Not a part of the record."""


def service_actor(part: str) -> Actor:
    """The service acting on its own, e.g. ``worker`` or ``callback``."""
    return Actor(sub=part, agency="broker", kind="service")


class AuditEvent(BaseModel):
    """The base: subclasses name their tag and fields. Fields whose names end in ``_id`` are subjects."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tag: ClassVar[str]
    actor: Actor

    @property
    def subjects(self) -> dict[str, str]:
        """The named ids, without those that are None."""
        return {
            name.removesuffix("_id"): value
            for name, value in self.model_dump(mode="json").items()
            if name.endswith("_id") and value is not None
        }

    def detail(self) -> dict[str, Any]:
        """Everything but actor and subjects, as JSON values."""
        dumped = self.model_dump(mode="json")
        return {name: value for name, value in dumped.items() if name != "actor" and not name.endswith("_id")}
