"""What the tables grow by: ``python -m tests.bench.growth`` writes docs/measurements/growth.json. About a minute."""

import asyncio
import json
import secrets
import tempfile
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.faces.samples import hit_probe
from broker.partners.contract import Answered, ReportedCandidate
from tests.support import shared
from tests.support.edge import Edge, edge, search_terms
from tests.support.postgres import Database, copy_of_template, server
from tests.support.workplace import Workplace, workplace

_OUT = Path(__file__).parents[2] / "docs" / "measurements" / "growth.json"
_ACTS = 60
_SIZES = """
SELECT relname, pg_total_relation_size(oid)::int8 FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'policy%'
"""


def sizes(database: Database) -> dict[str, int]:
    """Bytes of each table with its indexes and what lies beside it."""
    with database.owner() as owner:
        owner.execute("VACUUM FULL")
        return {str(name): int(size) for name, size in owner.execute(_SIZES).fetchall()}


async def grown(database: Database, act: Callable[[], Coroutine[Any, Any, None]]) -> dict[str, int]:
    """Bytes for each act and table, after one act that is not counted."""
    await act()
    before = sizes(database)
    for _ in range(_ACTS):
        await act()
    after = sizes(database)
    found = {name: round((size - before[name]) / _ACTS) for name, size in after.items()}
    return {"all": sum(found.values()), **{n: b for n, b in sorted(found.items(), key=lambda x: -x[1]) if b > 0}}


async def searches(database: Database, home: Path) -> dict[str, int]:
    """One search of two partners, each answered with ten candidates, and read once."""
    async with edge(database, home) as at:
        token = at.token("ICE-HSI", "analyst")
        case = (await at.made(token, "/v1/cases", {"reference": "HSI-G", "title": "t"}))["id"]
        return await grown(database, lambda: _search(at, token, case))


async def _search(at: Edge, token: str, case: str) -> None:
    made = await at.search(token, search_terms(case, ["cbp-atsp", "dos-ccd"]), hit_probe(0))
    listed = tuple(ReportedCandidate(reference=secrets.token_hex(6), rank=n, score=0.5) for n in range(1, 11))
    for partner in ("cbp-atsp", "dos-ccd"):
        item = await at.answer(made["id"], partner, Answered(candidates=listed))
        await at.call(token, "GET", f"/v1/items/{item}")


async def releases(database: Database) -> dict[str, int]:
    """One lead of two owners, two grants, one release accepted by its recipient."""
    async with workplace(database) as at:
        case = await at.case()
        return await grown(database, lambda: _release(at, case))


async def _release(at: Workplace, case: Any) -> None:
    item = await at.item(case, "CBP", "DOS")
    for owner in ("CBP", "DOS"):
        await at.grant(owner, item)
    await at.passed_on(case, item)


def main() -> None:
    """Measure both on databases of their own."""
    shared.make()
    try:
        with server() as running, tempfile.TemporaryDirectory() as home:
            with copy_of_template(running) as database:
                by_search = asyncio.run(searches(database, Path(home)))
            with copy_of_template(running) as database:
                by_release = asyncio.run(releases(database))
    finally:
        shared.remove()
    figures = {
        "what": f"bytes on disk, tables with indexes after VACUUM FULL, mean of {_ACTS} acts, log not yet sequenced",
        "date": datetime.now(UTC).date().isoformat(),
        "search_of_two_partners_with_ten_candidates_each_read_once": by_search,
        "release_of_a_lead_of_two_owners_with_its_grants_and_acceptance": by_release,
    }
    _OUT.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
