"""What a reply's header ``Retry-After`` asks for (RFC 9110, 10.2.3): seconds, or a date."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 7 * 86_400.0
"""Seconds. What asks for longer asks for this long: no leg lives longer."""
_SECONDS: Final = re.compile(r"[0-9]+")


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait from *now*, never negative; None where nothing readable is asked for."""
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(LONGEST, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(LONGEST, max(0.0, (moment - now).total_seconds()))
