"""What a contract leaves behind is handed over once it has ended, by the policy in force, and kept."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from broker.audit.events import PolicyActivated
from broker.audit.recorder import record
from broker.kernel.clock import SystemClock
from broker.kernel.errors import Conflict, NotFound
from broker.oversight.reports import Reports
from broker.policy.activation import activate
from broker.policy.source import from_files
from broker.search import handover
from broker.search.handover import HandOvers
from tests.integration.test_participants import ANALYST, AUDITOR, NAME, Office, in_office
from tests.support.policy_files import shipped
from tests.support.postgres import Database
from tests.support.traitors import assert_caught
from tests.support.workplace import everyone_at_once


async def verified(office: Office, database: Database) -> str:
    """An item that came of asking about a participant."""
    search = await office.searched((await office.enrolled()).id)
    item = await office.place.item(office.case, "CONTRACTOR-EX")
    with database.owner() as owner:
        owner.execute("UPDATE search_leg SET item_id = %s, state = 'answered' WHERE search_id = %s", (item, search.id))
    return item


async def put_in_force(office: Office, files: dict[str, bytes]) -> None:
    bundle = from_files(files)
    async with office.place.work.begin() as tx:
        replaces = await activate(tx, bundle, "tests")
        await record(tx, PolicyActivated(actor=AUDITOR, digest=bundle.digest, replaces=replaces))


def ended_yesterday() -> dict[str, bytes]:
    """The shipped policy after the contractor's contract."""
    files = shipped()
    head, name, entry = files["partners.yaml"].decode().partition(f"- id: {NAME}\n")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    ended = re.sub("valid_until: .*", f"valid_until: {yesterday}", entry, count=1)
    return files | {"partners.yaml": (head + name + ended).encode()}


def renamed(files: dict[str, bytes]) -> dict[str, bytes]:
    """A policy that names the contractor no more, and another one in its place."""
    return {path: content.replace(NAME.encode(), b"another-checkin") for path, content in files.items()}


def test_what_is_due_at_the_contract_s_end_is_listed_handed_over_once_and_kept(fresh_postgres: Database) -> None:
    async def act(office: Office) -> None:
        hand_overs = HandOvers(office.place.work, SystemClock())
        item = await verified(office, fresh_postgres)
        with pytest.raises(Conflict, match="runs until"):
            await hand_overs.record(ANALYST, NAME, "R. Invented", "R-1")
        due = await hand_overs.due(NAME)
        assert (due.items, due.participants, due.contract_ended) == ((item,), 1, False)
        await put_in_force(office, ended_yesterday())
        made = await everyone_at_once(*(hand_overs.record(ANALYST, NAME, "R. Invented", "R-1") for _ in range(4)))
        assert sorted(type(one).__name__ for one in made) == ["Conflict"] * 3 + ["Due"]
        assert (await hand_overs.due(NAME)).items == ()
        with pytest.raises(Conflict, match="nothing is left"):
            await hand_overs.record(ANALYST, NAME, "R. Invented", "R-2")
        reports = Reports(office.place.work, SystemClock())
        since, until = datetime(2017, 1, 1, tzinfo=UTC), datetime.now(UTC)
        (row,) = (await reports.run(AUDITOR, "hand-overs", since, until, None, office.partners)).rows
        assert (row["items"], row["handed_over"], row["kept"], row["receipt"]) == (1, 1, 0, "R-1")
        with fresh_postgres.owner() as owner:
            kept = owner.execute("SELECT count(*) FROM item WHERE id = %s", (item,)).fetchone()
        assert kept == (1,)

    in_office(fresh_postgres, act)


def test_the_contract_s_end_is_that_of_the_last_policy_in_force_that_named_the_partner(
    fresh_postgres: Database,
) -> None:
    async def act(office: Office) -> None:
        hand_overs = HandOvers(office.place.work, SystemClock())
        item = await verified(office, fresh_postgres)
        # It left the register while its contract ran, so its contract runs.
        await put_in_force(office, shipped())
        await put_in_force(office, renamed(shipped()))
        assert (await hand_overs.due(NAME)).contract_until == date(2035, 12, 31)
        with pytest.raises(Conflict, match="runs until"):
            await hand_overs.record(ANALYST, NAME, "R. Invented", "R-1")
        # What was in force, was replaced and came into force again is the last one then.
        await put_in_force(office, ended_yesterday())
        await put_in_force(office, shipped())
        assert not (await hand_overs.due(NAME)).contract_ended
        await put_in_force(office, ended_yesterday())
        await put_in_force(office, renamed(ended_yesterday()))
        assert (await hand_overs.record(ANALYST, NAME, "R. Invented", "R-1")).items == (item,)
        for name in ("dos-ccd", "unheard-of"):
            with pytest.raises(NotFound):
                await hand_overs.due(name)

    in_office(fresh_postgres, act)


def test_traitor_that_takes_the_newest_file_for_the_policy_in_force_is_caught(
    fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of_a_folder(_tx: Any, partner: str) -> Any:
        return next(one for one in from_files(ended_yesterday()).partners if one.id == partner)

    monkeypatch.setattr(handover, "last_entry_of", of_a_folder)
    assert_caught(test_the_contract_s_end_is_that_of_the_last_policy_in_force_that_named_the_partner, fresh_postgres)
