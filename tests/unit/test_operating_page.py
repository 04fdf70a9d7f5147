"""docs/operating.md names every setting and its default, and no other."""

import re
from pathlib import Path

from broker.settings import Settings, known_names

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(BROKER_\w+)` \| (.*?) \|", PAGE, re.MULTILINE))


def test_the_page_lists_exactly_the_settings_that_exist() -> None:
    assert sorted(ROWS) == sorted(known_names())


def test_the_page_states_the_defaults_of_the_code() -> None:
    assert ROWS["BROKER_HOST"] == f"`{Settings.model_fields['host'].default}`"
    assert ROWS["BROKER_PORT"] == f"`{Settings.model_fields['port'].default}`"
    assert ROWS["BROKER_HOME"] == f"`./{Settings.model_fields['home'].default}`"
    assert ROWS["BROKER_POLICIES"] == f"`./{Settings.model_fields['policies'].default}`"
    assert ROWS["BROKER_AUDIENCE"] == f"`{Settings.model_fields['audience'].default}`"
