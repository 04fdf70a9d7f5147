"""A report in a pipe or on a narrow screen: whatever the width, what stands in a row can be read."""

import io

import pytest
from rich.console import Console

from broker.cli.oversight import lay_out

ROWS = [
    {
        "search": f"sea_{number:026}",
        "partner": "contractor-checkin",
        "purpose": "supervision_check_in",
        "ground": "[b]18 USC",
    }
    for number in range(2)
]


def shown(width: int, *, terminal: bool) -> str:
    file = io.StringIO()
    lay_out(ROWS, Console(file=file, width=width, force_terminal=terminal, color_system=None, legacy_windows=False))
    return file.getvalue()


@pytest.mark.parametrize(
    ("width", "terminal"), [(200, True), (80, True), (20, True), (200, False), (80, False), (20, False)]
)
def test_no_name_and_no_value_is_ever_cut(width: int, terminal: bool) -> None:
    text = shown(width, terminal=terminal)
    for row in ROWS:
        for name, value in row.items():
            assert name in text
            assert value in text


def test_a_screen_that_is_too_narrow_gets_the_rows_one_by_one() -> None:
    assert "search: sea_00000000000000000000000000\npartner: contractor-checkin\n" in shown(80, terminal=True)
    table = shown(80, terminal=False).splitlines()
    assert len(table) == 4 + len(ROWS)
    assert len(set(map(len, table))) == 1
