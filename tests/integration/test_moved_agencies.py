"""Moving an agency in the tree, or adding one, frees nothing that was there before."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.decision.model import Facts
from broker.kernel.clock import SystemClock
from broker.policy.holder import Policies
from broker.provenance.lineage import Lineage
from tests.support.permission import marking
from tests.support.policy_files import edited, written
from tests.support.postgres import Database
from tests.support.workplace import codes, workplace

# CBP's file lets its items go anywhere within DHS without permission.
_UNDER_DHS = ("- id: CONTRACTOR-EX\n", "- id: CONTRACTOR-EX\n  parent: DHS\n")
_ANOTHER = ("- id: VENDOR-EX\n", "- id: VENDOR-EX\n  parent: STATE-EX\n")


def reasons(database: Database, folder: Path, change: tuple[str, str]) -> tuple[set[str], set[str], set[str]]:
    """Why CBP's item does not go to CONTRACTOR-EX: before the change, after it, and for one that came to be afterwards."""

    async def asked() -> tuple[set[str], set[str], set[str]]:
        async with workplace(database) as place:
            case = await place.case()
            old = await place.item(case, "CBP")
            before = codes(await place.release(case, old, to="CONTRACTOR-EX"))
        changed = Policies(written(edited("agencies.yaml", *change), folder), SystemClock())
        async with workplace(database, policies=changed) as place:
            after = codes(await place.release(case, old, to="CONTRACTOR-EX"))
            part = marking("CBP", case_id=case, at=datetime.now(UTC))
            young = await place.item(case, lineage=Lineage(markings=(part,), roots=frozenset()))
            return before, after, codes(await place.release(case, young, to="CONTRACTOR-EX"))

    return asyncio.run(asked())


def test_who_is_moved_under_a_department_is_not_free_to_get_what_was_there_before(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    before, after, young = reasons(fresh_postgres, tmp_path, _UNDER_DHS)
    assert before == {"permission_missing"}
    assert after == {"permission_missing"}
    # The author has said so for what comes to be from then on.
    assert young == set()


def test_moving_somebody_else_changes_nothing(fresh_postgres: Database, tmp_path: Path) -> None:
    before, after, young = reasons(fresh_postgres, tmp_path, _ANOTHER)
    assert before == after == young == {"permission_missing"}


def test_traitor_that_looks_at_today_s_tree_alone_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Facts, "settled", lambda _self, _agency, _since: True)
    _, after, _ = reasons(fresh_postgres, tmp_path, _UNDER_DHS)
    assert after == set()
