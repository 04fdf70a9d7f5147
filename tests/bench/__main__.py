"""``make bench`` and ``make bench-deep``: measure, print tables, write JSON.

It ends with 1 only when what was measured is not what it is said to be (a bulk-loaded grant of another shape, a hot
query that reads a whole table); never because something took long.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import decisions, depth, dispatches, searches, tables
from tests.bench.ground import Ground, prepared
from tests.bench.report import circumstances, preamble, say, write

_QUICK = (1_000, 100_000)
_ALL = (1_000, 100_000, 1_000_000)
_OWN_FOLDER = Path(".bench")


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    began = time.monotonic()
    faults: list[str] = []
    for name in asked.only or tuple(_BENCHMARKS):
        with prepared() as ground:
            faults += _BENCHMARKS[name](ground, asked)
    say(f"done in {time.monotonic() - began:.0f} s; figures in {asked.write}")
    for fault in faults:
        say(f"not as it should be: {fault}")
    return 1 if faults else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="the largest register, and more rounds and longer ones")
    parser.add_argument("--sizes", type=int, nargs="+", help="registers of so many grants")
    parser.add_argument("--only", choices=tuple(_BENCHMARKS), nargs="+")
    parser.add_argument("--seed", type=int, default=20170101)
    parser.add_argument("--write", type=Path, default=_OWN_FOLDER, metavar="DIR", help="where JSON and tables go")
    parser.add_argument("--wait-for-quiet", type=float, default=0, metavar="MINUTES", help="wait while others are busy")
    asked = parser.parse_args()
    if asked.write == _OWN_FOLDER:
        _OWN_FOLDER.mkdir(exist_ok=True)
        (_OWN_FOLDER / ".gitignore").write_text("*\n", encoding="ascii")
    _wait(asked.wait_for_quiet)
    return asked


def _wait(minutes: float) -> None:
    deadline = time.monotonic() + minutes * 60
    while os.getloadavg()[0] > 0.5 and time.monotonic() < deadline:
        time.sleep(5)


def _decision(ground: Ground, asked: argparse.Namespace) -> list[str]:
    say("the decision, in process and over HTTP")
    sizes = tuple(asked.sizes or (_ALL if asked.deep else _QUICK))
    extent = decisions.Extent(
        sizes=sizes,
        # Many short rounds rather than few long ones: a median of seven forgives three that fell into others' work.
        rounds=15 if asked.deep else 7,
        calls=100 if asked.deep else 40,
        http_seconds=4.0 if asked.deep else 1.5,
        concurrency=8,
    )
    under = circumstances(asked.seed, ground.server_facts())
    figures: dict[str, Any] = {"benchmark": "decision", **under, **decisions.measure(ground, extent, asked.seed)}
    figures["load_average_at_end"] = round(os.getloadavg()[0], 2)
    _publish("decision", "The decision", figures, tables.of_decisions(figures), asked.write)
    faults = [f"a bulk-loaded grant differs in {column}" for column in figures["shape_differs_in"]]
    return faults + [
        f"{', '.join(plan['whole_tables'])}: {plan['statement']}"
        for plan in figures["plans_at_largest"]
        if plan["whole_tables"]
    ]


def _search(ground: Ground, asked: argparse.Namespace) -> list[str]:
    say("accepted searches")
    extent = searches.Extent(
        rounds=15 if asked.deep else 7,
        seconds=4.0 if asked.deep else 1.5,
        concurrency=8,
        with_worker=1000 if asked.deep else 300,
    )
    under = circumstances(asked.seed, ground.server_facts())
    figures: dict[str, Any] = {"benchmark": "search", **under, **searches.measure(ground, extent)}
    figures["load_average_at_end"] = round(os.getloadavg()[0], 2)
    _publish("search", "Accepted searches", figures, tables.of_searches(figures), asked.write)
    return []


def _depth(ground: Ground, asked: argparse.Namespace) -> list[str]:
    say("an item that lies deep")
    extent = depth.Extent(rounds=15 if asked.deep else 5, calls=100 if asked.deep else 30)
    under = circumstances(asked.seed, ground.server_facts())
    figures: dict[str, Any] = {"benchmark": "depth", **under, **depth.measure(ground, extent)}
    figures["load_average_at_end"] = round(os.getloadavg()[0], 2)
    _publish("depth", "An item that lies deep", figures, tables.of_depth(figures), asked.write)
    return []


def _dispatch(ground: Ground, asked: argparse.Namespace) -> list[str]:
    say("searches end to end, and legs that wait")
    extent = dispatches.Extent(
        searches=400 if asked.deep else 100,
        workers=(1, 2, 4),
        rate=5.0,
        seconds=30.0 if asked.deep else 8.0,
        waiting=10_000,
        idle_seconds=20.0 if asked.deep else 6.0,
        slow_rounds=50 if asked.deep else 15,
    )
    under = circumstances(asked.seed, ground.server_facts())
    figures: dict[str, Any] = {"benchmark": "dispatch", **under, **dispatches.measure(ground, extent)}
    figures["load_average_at_end"] = round(os.getloadavg()[0], 2)
    _publish("dispatch", "Searches end to end", figures, tables.of_dispatches(figures), asked.write)
    return []


_BENCHMARKS = {"decision": _decision, "search": _search, "depth": _depth, "dispatch": _dispatch}


def _publish(name: str, title: str, figures: dict[str, Any], found: list[tables.Table], folder: Path) -> None:
    for one in found:
        one.show()
    write(folder, name, figures, preamble(title, figures) + "".join(one.markdown() for one in found))


if __name__ == "__main__":
    sys.exit(main())
