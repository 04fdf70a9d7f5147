"""A message on its way, and how many wait: values."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.jobs.model import Happened
from broker.kernel.ids import AgencyId, NotificationId


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Notification(_Value):
    """A message as it was posted, and whether somebody of the agency has read it here."""

    id: NotificationId
    to: AgencyId
    subject: Happened
    about: dict[str, str]
    at: AwareDatetime
    attempts: int
    read_at: AwareDatetime | None

    def told(self) -> dict[str, Any]:
        """What goes out: the receiver drops a second one with the same id."""
        return self.model_dump(mode="json", include={"id", "to", "subject", "about", "at"})


class Waiting(_Value):
    """What one agency has not been brought yet."""

    agency: AgencyId
    undelivered: int
    oldest_at: AwareDatetime
    attempts: int
    """The most that any of them took so far."""
    last_fault: str | None
