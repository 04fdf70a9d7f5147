"""An owner that frees what is unmarked, on a real database: no grant is on record, and the decision says why it passed."""

import asyncio
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from broker.kernel.clock import SystemClock
from broker.policy.holder import Policies
from broker.release.model import Release
from broker.release.service import Refused
from tests.support.permission import NOON, marking
from tests.support.policy_files import written
from tests.support.postgres import Database
from tests.support.third_party_default import freeing
from tests.support.workplace import codes, workplace

DAY = NOON.date()
CASES = f"""
suite: DOS frees what is unmarked
tables:
  - name: to FBI
    owner: DOS
    recipients: [FBI]
    actions: [release]
    purposes: [criminal_investigation, civil_immigration_enforcement]
    item_kinds: [lead]
    standings: [freed]
    expect:
      - {{purposes: [criminal_investigation], answer: allow}}
      - {{purposes: [civil_immigration_enforcement], answer: needs_permission}}
defaults:
  - {{name: from that day on, owners: [DOS], made: {DAY}, decided: {DAY}, expect: freed}}
"""


def free_policies(folder: Path) -> Policies:
    files = freeing(**{DAY.isoformat(): "free_unless_marked"})
    files["tests/free_test.yaml"] = CASES.encode()
    return Policies(written(files, folder), SystemClock())


def test_what_is_unmarked_and_young_leaves_without_a_grant_and_everything_else_needs_one(
    postgres: Database, tmp_path: Path
) -> None:
    async def run() -> None:
        async with workplace(postgres, policies=free_policies(tmp_path)) as place:
            case = await place.case()

            async def asked(**changes: object) -> Release | Refused:
                part = marking("DOS", case_id=case, **changes)
                plain = await place.item(case, "DOS")
                item = await place.item(case, lineage=_only(part)) if changes else plain
                return await place.release(case, item)

            free = await asked()
            assert isinstance(free, Release)
            assert free.grants == ()
            async with place.work.begin() as tx:
                rules = (
                    await tx.execute(sa.text("SELECT rules FROM decision WHERE id = :id"), {"id": free.decision_id})
                ).scalar_one()
            assert [rule.split(":")[0] for rule in rules] == ["owners/DOS.csv", "defaults.yaml"]
            old = await asked(at=NOON - timedelta(days=1))
            marked = await asked(caveats=("originator_controlled",))
            assert codes(old) == codes(marked) == {"permission_missing"}
            assert isinstance(marked, Refused)
            assert isinstance(old, Refused)
            assert "it is marked originator_controlled" in _detail(marked)
            assert f"before {DAY}" in _detail(old)
            # With the owner's permission the marked one goes: marked means asked for, not forbidden.
            item = await place.item(
                case, lineage=_only(marking("DOS", case_id=case, caveats=("originator_controlled",)))
            )
            granted = await place.grant("DOS", item)
            released = await place.release(case, item)
            assert isinstance(released, Release)
            assert released.grants == (granted.id,)

    asyncio.run(run())


def _detail(refused: Refused) -> str:
    outcome = refused.judgement.outcome
    assert not outcome
    return outcome.reasons[0].detail


def _only(part: object) -> object:
    from broker.provenance.lineage import Lineage

    return Lineage(markings=(part,), roots=frozenset())
