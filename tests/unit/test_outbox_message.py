"""A message tells ids and nothing else."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from broker.jobs.outbox import Happened, Message
from broker.kernel.ids import AgencyId, new_id

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"item": "the visa record of somebody"},
        {"item": "CBP"},
        {"Item": new_id("itm")},
        {"item": new_id("itm"), "owner": "DOS"},
        {"": new_id("itm")},
    ],
)
def test_what_is_not_an_id_is_no_message(about: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Message(to=AgencyId("DOS"), subject=Happened.PERMISSION_REQUESTED, about=about, at=NOW)


def test_ids_by_their_kind_are_one() -> None:
    about = {"permission_request": new_id("req")}
    assert Message(to=AgencyId("DOS"), subject=Happened.PERMISSION_REQUESTED, about=about, at=NOW).about == about
