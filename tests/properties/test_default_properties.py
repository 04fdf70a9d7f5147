"""The free default against a second evaluator in plain words, in worlds where DOS and CBP free what is unmarked."""

from collections.abc import Iterable
from datetime import UTC, date, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.decision import gate
from broker.decision.model import Permit, Question
from broker.kernel.words import Action, ItemKind
from broker.policy.engine import PolicyEngine
from broker.policy.source import from_files
from broker.provenance.lineage import Lineage
from tests.properties import values
from tests.support.permission import CASE, ITEM, NOON, marking
from tests.support.policy_files import lean
from tests.support.third_party_default import freeing, freeing_entry

TODAY = NOON.date()
CODES = [*values.CAVEATS, "originator_controlled"]
RESTRICTING = set(CODES) - {"lead_only"}
DAYS = [TODAY + timedelta(days=offset) for offset in (-400, -30, -1, 0, 1)]


@cache
def engine(since: date, then_ask: date | None) -> PolicyEngine:
    """DOS and CBP free from one day on, and perhaps ask again from another."""
    files = freeing(**{since.isoformat(): "free_unless_marked"})
    files["owners/CBP.csv"] += b"p, CBP, FBI, release, criminal_investigation, any, unmarked, allow\n"
    entries = freeing_entry(since.isoformat(), owner="CBP")
    if then_ask is not None:
        entries += freeing_entry(then_ask.isoformat(), "ask_unless_freed")
    files["defaults.yaml"] += entries.encode()
    return PolicyEngine(from_files(lean(files)))


PERIODS = [(since, then) for since in DAYS for then in (None, *DAYS) if then != since]

lineages = st.lists(
    st.builds(
        lambda owner, days, codes, asked_by: marking(
            owner, at=NOON - timedelta(days=days), caveats=tuple(codes), asked_by=asked_by
        ),
        st.sampled_from(["DOS", "CBP"]),
        st.sampled_from([0, 0, 1, 31, 500]),
        st.lists(st.sampled_from([*["lead_only"] * 6, *CODES]), max_size=2),
        st.sampled_from(["ICE-HSI", "FBI"]),
    ),
    min_size=1,
    max_size=3,
).map(lambda markings: Lineage(markings=tuple(markings), roots=frozenset()))
questions = st.builds(
    Question,
    item=st.just(ITEM),
    kind=st.sampled_from(ItemKind),
    asker=st.just("ICE-HSI"),
    recipient=st.sampled_from(["FBI", "FBI", "STATE-EX-POLICE", "VENDOR-EX"]),
    action=st.sampled_from([Action.RELEASE, Action.RELEASE, *Action]),
    purpose=st.sampled_from(["criminal_investigation", "threat_to_life", "civil_immigration_enforcement"]),
    case_id=st.just(CASE),
    fields=st.none(),
)
worlds = st.tuples(st.sampled_from(sorted(PERIODS, key=str)), lineages, questions)


def free(days: tuple[date, date | None], lineage: Lineage, question: Question) -> bool:
    """Whether, without any grant, everything may pass: each owner frees it, and it is young and unmarked."""
    since, then_ask = days
    for owner in lineage.owners:
        parts = [part for part in lineage.markings if part.owner == owner]
        begun = since <= TODAY and not (owner == "DOS" and then_ask is not None and since < then_ask <= TODAY)
        young = all(part.at.astimezone(UTC).date() >= since for part in parts)
        unmarked = not RESTRICTING & {code for part in parts for code in part.caveats}
        reached = question.purpose == "criminal_investigation" and question.recipient == "FBI"
        if owner == "DOS":
            reached = question.purpose != "civil_immigration_enforcement"
        if not (begun and young and unmarked and reached):
            return False
    return question.action is Action.RELEASE


def decided(world: tuple[Any, Lineage, Question]) -> bool:
    """What the gate says without a grant on record; a look by the component that asked is another matter."""
    days, lineage, question = world
    outcome = gate.decide(question, values.facts(lineage, ()), engine(*days), _never)
    if isinstance(outcome, Permit) and question.action is Action.RELEASE:
        entries = [rule for rule in outcome.rules if rule.file == "defaults.yaml"]
        assert len(entries) == len(lineage.owners), "a permit names the default that it relied on, for each owner"
    return bool(outcome) and not _own_look(lineage, question)


def _own_look(lineage: Lineage, question: Question) -> bool:
    return question.action is Action.VIEW and all(part.asked_by == question.recipient for part in lineage.markings)


def _never(failure: Exception) -> None:
    raise AssertionError("the gate failed inside") from failure


@values.PER_TEST
@given(worlds)
def test_what_passes_without_a_grant_is_young_unmarked_and_freed_by_each_owner(world: Any) -> None:
    assert decided(world) is free(*world)


@values.PER_TEST
@given(worlds, st.sampled_from(sorted(RESTRICTING)))
def test_a_restricting_caveat_never_frees(world: Any, code: str) -> None:
    days, lineage, question = world
    for index, part in enumerate(lineage.markings):
        marked = part.model_copy(update={"caveats": (*part.caveats, code)})
        others = lineage.markings[:index] + lineage.markings[index + 1 :]
        assert not decided((days, lineage.model_copy(update={"markings": (*others, marked)}), question))


# --- Traitors.


def _examples() -> Iterable[Any]:
    """One world that each traitor gets wrong, and one that is as it should be."""
    release = Question(
        item=ITEM,
        kind=ItemKind.LEAD,
        asker="ICE-HSI",
        recipient="FBI",
        action=Action.RELEASE,
        purpose="criminal_investigation",
        case_id=CASE,
        fields=None,
    )
    for at, codes in ((NOON - timedelta(days=500), ()), (NOON, ("originator_controlled",)), (NOON, ("lead_only",))):
        yield ((DAYS[1], None), Lineage(markings=(marking("DOS", at=at, caveats=codes),), roots=frozenset()), release)
    yield (
        (DAYS[4], None),
        Lineage(markings=(marking("DOS", at=NOON + timedelta(days=3)),), roots=frozenset()),
        release,
    )


def _caught() -> bool:
    return any(decided(world) is not free(*world) for world in _examples())


def test_traitor_a_free_default_before_its_day_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _caught()
    honest = gate.why_not_freed
    monkeypatch.setattr(gate, "why_not_freed", lambda d, made, codes, reg: honest(d, [d.since], codes, reg))
    assert _caught()


def test_traitor_a_free_default_for_something_marked_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = gate.why_not_freed
    monkeypatch.setattr(gate, "why_not_freed", lambda d, made, codes, reg: honest(d, made, (), reg))
    assert _caught()


def test_traitor_a_free_default_that_has_not_begun_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from broker.policy import third_party_default

    monkeypatch.setattr(
        third_party_default, "in_force", lambda entries, on: max(entries, key=lambda one: one.since, default=None)
    )
    assert _caught()
