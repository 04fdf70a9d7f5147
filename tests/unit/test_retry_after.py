"""What partners write into Retry-After, and what is made of it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from broker.kernel.retry_after import LONGEST, retry_after

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("120", 120.0),
        ("9" * 5000, LONGEST),
        ("-1", None),
        ("1.5", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(days=30), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=3000), usegmt=True), LONGEST),
        ("Thu, 01 Jan 2026 12:00:09 -0000", 9.0),
        ("Thu, 99 Foo 20260 12:00:09 GMT", None),
    ],
)
def test_seconds_dates_and_nonsense(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
