"""Superseding and entering in error end a grant as surely as revoking does: once answered, nothing relies on it."""

import asyncio

import pytest

from broker.decision.loader import Loader
from broker.grants import repository
from broker.release.model import Release
from tests.integration.revocation_race import End, HeldLoader, UnlockedLoader, entered_in_error, superseded
from tests.integration.test_revocation_race import figures_of, played
from tests.support.figures import keep
from tests.support.postgres import Database
from tests.support.workplace import workplace

ENDINGS = {"supersede": superseded, "entered_in_error": entered_in_error}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_no_release_commits_after_the_owner_was_answered(postgres: Database, end: End) -> None:
    tally = played(postgres, HeldLoader, 40, end)
    assert tally.rounds == 40
    assert tally.late == 0
    assert tally.permitted >= 20


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_traitor_with_the_lock_taken_out_is_caught(postgres: Database, end: End) -> None:
    assert played(postgres, UnlockedLoader, 20, end).late > 0


def still_released(database: Database, end: End) -> bool:
    """Whether a release that is asked for after the end of its grant is made."""

    async def after() -> bool:
        async with workplace(database, Loader) as place:
            case = await place.case()
            item = await place.item(case, "DOS")
            granted = await place.grant("DOS", item)
            await end(place, granted.id, item)
            return isinstance(await place.release(case, item), Release)

    return asyncio.run(after())


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_traitor_that_still_finds_what_has_ended_is_caught(
    postgres: Database, end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor is written, and the old grant stays as it was."""
    assert not still_released(postgres, end)

    async def nothing(*_: object, **__: object) -> None: ...

    for act in ("hide", "supersede", "set_status"):
        monkeypatch.setattr(repository, act, nothing)
    assert still_released(postgres, end)


@pytest.mark.deep
def test_two_thousand_rounds_each(postgres: Database) -> None:
    figures: dict[str, object] = {}
    late = 0
    for name, end in ENDINGS.items():
        sound, traitor = played(postgres, HeldLoader, 2000, end), played(postgres, UnlockedLoader, 200, end)
        figures[name] = {"with the lock": figures_of(sound), "traitor without the lock": figures_of(traitor)}
        late += sound.late
        assert traitor.late > 0
    keep("ending-release-race", "releases committed after the owner, who had ended their grant, was answered", figures)
    assert late == 0
