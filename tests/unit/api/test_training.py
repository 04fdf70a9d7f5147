"""Training counts on the day of the search, whatever day the token is from."""

from datetime import UTC, date, datetime, timedelta

import pytest

from broker.api.auth import Caller, day_of

LAST_DAY = date(2026, 6, 30)
ISSUED = date(2026, 6, 1)


def caller(until: date | None = LAST_DAY) -> Caller:
    claims = {"sub": "ana", "agency": "ICE-HSI", "roles": ["analyst"], "iat": int(_noon(ISSUED).timestamp())}
    return Caller.model_validate(claims | ({"training_valid_until": until.isoformat()} if until else {}))


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def searching_days() -> list[tuple[datetime, bool]]:
    """Moments of a search and whether the training counts then: to the last instant of its last day, in UTC."""
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    return [(_noon(ISSUED), True), (midnight - timedelta(microseconds=1), True), (midnight, False)]


def wrong() -> list[datetime]:
    return [at for at, counts in searching_days() if caller().training_valid_on(day_of(at)) is not counts]


def test_training_counts_to_the_end_of_its_last_day_and_without_a_day_never() -> None:
    assert wrong() == []
    assert not caller(None).training_valid_on(ISSUED)
    zone = datetime(2026, 7, 1, 1, tzinfo=UTC).astimezone()
    assert day_of(zone) == date(2026, 7, 1)


def test_traitor_that_compares_the_token_s_day_of_issue_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caller, "training_valid_on", lambda self, _day: self.training_valid_until >= ISSUED)
    assert wrong() == [datetime(2026, 7, 1, tzinfo=UTC)]
