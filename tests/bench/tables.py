"""The figures as tables, the same on the terminal and in the documents."""

from dataclasses import dataclass
from typing import Any

from tests.bench import report


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of text."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def show(self) -> None:
        report.show(self.title, self.header, self.rows)

    def markdown(self) -> str:
        return report.markdown(self.title, self.header, self.rows)


def of_decisions(figures: dict[str, Any]) -> list[Table]:
    """Benchmark 1."""
    inside = [
        (one["name"], _size(one), _ms(one["median_ms"]), _ms(one["p50_ms"]), _ms(one["p99_ms"]), str(one["calls"]))
        for one in figures["in_process"]
    ]
    plans = [
        (one["statement"][:90], ", ".join(one["scans"]), ", ".join(one["generic_scans"]), _ms(one["ms"]))
        for one in figures["plans_at_largest"]
    ]
    return [
        Table("In process, milliseconds", ("what", "grants", "median", "p50", "p99", "calls"), inside),
        _over_http(figures["http"]),
        _ratios(figures),
        Table("Plans at the largest register", ("statement", "scans", "without values", "ms"), plans),
    ]


def of_depth(figures: dict[str, Any]) -> list[Table]:
    """Benchmark 3."""
    rows = [
        (one["name"], *(_ms(one[key]) for key in ("median_ms", "p50_ms", "p99_ms")), str(one["calls"]))
        for one in figures["in_process"]
    ]
    title = f"Depth {figures['depth']}, {figures['ancestors']:,} ancestors, milliseconds"
    return [Table(title, ("what", "median", "p50", "p99", "calls"), rows), _ratios(figures)]


def of_searches(figures: dict[str, Any]) -> list[Table]:
    """Benchmark 2."""
    working, drawn = figures["with_worker"], figures["redrawing"]
    states = ", ".join(f"{state} {count}" for state, count in working["leg_states"].items())
    probe = figures["probe"]
    rows = [
        (
            f"re-drawing a probe of {probe['bytes']:,} bytes, {probe['width']}×{probe['height']}",
            f"{_ms(drawn['median_ms'])} ms",
        ),
        ("accepted per second, worker running", str(working["accepted_per_second"])),
        (f"of {working['accepted']} accepted, completed per second", str(working["completed_per_second"])),
        ("legs at the end", states),
    ]
    return [
        _over_http(figures["http"]),
        Table("Re-drawing, and with a worker", ("what", "figure"), rows),
        _ratios(figures),
    ]


def of_dispatches(figures: dict[str, Any]) -> list[Table]:
    """Searches from accepted to answered, and what waiting costs."""
    ended = [(one["name"], str(one["per_second"])) for one in figures["end_to_end"]]
    added, accepting = figures["end_to_end"][-1]["added_over_slowest_partner_ms"], figures["accepting"]
    waiting = figures["waiting"]
    rows = [
        ("added over the slowest partner, p50 / p99 ms", f"{added['p50']} / {added['p99']}"),
        (
            f"accepting {accepting['per_second']} a second, open loop, p50 / p99 ms",
            f"{accepting['p50_ms']} / {accepting['p99_ms']}",
        ),
        ("memory of a worker with nothing to do, MiB", str(waiting["memory_mib_without"])),
        (f"the same, {waiting['legs']:,} legs waiting, MiB", str(waiting["memory_mib"])),
        ("one core of a worker with nothing to do", f"{waiting['cpu_share_without']:.2%}"),
        (f"the same, {waiting['legs']:,} legs waiting", f"{waiting['cpu_share']:.2%}"),
    ]
    return [
        Table("Searches of two partners, from accepted to answered", ("what", "searches per second"), ended),
        Table("Latency, and what waiting costs", ("what", "figure"), rows),
        _ratios(figures),
    ]


def _over_http(rows: list[dict[str, Any]]) -> Table:
    header = ("what", "grants", "at a time", "per second", "median ms", "p50 ms", "p99 ms", "calls")
    return Table(
        "Over HTTP",
        header,
        [
            (
                one["name"],
                _size(one),
                str(one["concurrency"]),
                str(one["per_second"]),
                *(_ms(one[key]) for key in ("median_ms", "p50_ms", "p99_ms")),
                str(one["calls"]),
            )
            for one in rows
        ],
    )


def _ratios(figures: dict[str, Any]) -> Table:
    return Table("Ratios", ("what", "ratio"), [(name, f"{value:g}") for name, value in figures["ratios"].items()])


def _size(one: dict[str, Any]) -> str:
    return f"{one['size']:,}" if one.get("size") else "–"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
