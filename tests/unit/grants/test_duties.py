"""Duties: a closed set, read strictly; what is not known is never met, and never ignored."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from broker.decision import gate
from broker.decision.model import Deny, Permit, Question
from broker.grants import duties
from broker.grants.checking import check
from broker.grants.duties import AttachCaveat, Duty, NotifyOwner, PurgeBy, Unreadable, VerifyFirst
from broker.grants.model import Grant
from broker.kernel.errors import Invalid
from broker.kernel.words import Action, ItemKind, ReasonCode
from broker.provenance.lineage import Lineage
from tests.properties.values import BUNDLE, ENGINE, facts
from tests.support.permission import CASE, ITEM, NOON, grant, marking, terms

SYSTEMS = {"cbp-atsp", "dos-ccd"}
QUESTION = Question.model_construct(
    item=ITEM,
    kind=ItemKind.LEAD,
    asker="ICE-HSI",
    recipient="FBI",
    action=Action.RELEASE,
    purpose="criminal_investigation",
    case_id=CASE,
    fields=None,
)


def decided(*held: Grant, **changes: Any) -> gate.Decision:
    lineage = Lineage(markings=(marking("DOS", caveats=changes.pop("codes", ())),), roots=frozenset())
    question = QUESTION.model_copy(update={"copy_until": changes.pop("copy_until", None)})
    return gate.decide(question, facts(lineage, held, **changes), ENGINE, _raise)


def _raise(failure: Exception) -> None:
    raise failure


def owing(*owed: Duty, **changes: Any) -> Grant:
    return grant("DOS", duties=owed, **changes)


def against(outcome: gate.Decision) -> set[ReasonCode]:
    return {one.code for one in outcome.reasons} if isinstance(outcome, Deny) else set()


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        "notify_owner",
        [{"duty": "tell_the_press"}],
        [{"duty": "notify_owner", "how": "by pigeon"}],
        [{"duty": "NOTIFY_OWNER"}],
        [{"duty": "purge_by"}],
        [{"duty": "purge_by", "days": 0}],
        [{"duty": "purge_by", "days": 30, "at": "2026-01-01T00:00:00Z"}],
        [{"duty": "purge_by", "at": "2026-01-01T00:00:00"}],
        [{"duty": "attach_caveat"}],
        [{}],
        [None],
        [["notify_owner"]],
        [{"duty": "unreadable"}],
    ],
)
def test_what_is_not_known_is_unreadable_and_refuses(stored: Any) -> None:
    read = duties.read(stored)
    assert Unreadable() in read
    assert against(decided(owing(*read))) == {ReasonCode.CAVEAT_UNMET}


def test_traitor_that_ignores_what_it_does_not_know_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that passes over an unknown duty would pass on what the owner bound to it."""
    stored = [{"duty": "tell_the_press"}]
    known = duties._read
    monkeypatch.setattr(
        duties,
        "read",
        lambda listed: tuple(one for one in map(known, listed) if not isinstance(one, Unreadable)),
    )
    assert decided(owing(*duties.read(stored)))
    with pytest.raises(AssertionError):
        test_what_is_not_known_is_unreadable_and_refuses(stored)


@pytest.mark.parametrize(
    "duty",
    [NotifyOwner(), VerifyFirst(), PurgeBy(days=3), PurgeBy(at=NOON), AttachCaveat(caveat="no_onward")],
)
def test_what_is_stored_is_read_back(duty: Duty) -> None:
    assert duties.read([duty.model_dump(mode="json")]) == (duty,)


def test_verify_first_is_met_by_the_owner_s_verification_and_by_nothing_else() -> None:
    held = owing(VerifyFirst())
    assert against(decided(held)) == {ReasonCode.CAVEAT_UNMET}
    assert against(decided(held, verified=frozenset({"CBP"}))) == {ReasonCode.CAVEAT_UNMET}
    assert decided(held, verified=frozenset({"DOS"}))


def test_the_caveat_of_an_item_is_met_by_the_same_fact() -> None:
    codes = ("verify_with_owner",)
    assert against(decided(grant("DOS"), codes=codes)) == {ReasonCode.CAVEAT_UNMET}
    assert decided(grant("DOS"), codes=codes, verified=frozenset({"DOS"}))


def test_an_attached_caveat_goes_with_the_copy_and_is_checked() -> None:
    outcome = decided(owing(AttachCaveat(caveat="no_onward")))
    assert isinstance(outcome, Permit)
    assert outcome.caveats == ("no_onward",)
    for code in ("department_only", "originator_only", "gone_from_the_register"):
        assert against(decided(owing(AttachCaveat(caveat=code)))) == {ReasonCode.CAVEAT_UNMET}


def test_the_earliest_moment_to_purge_counts_and_one_that_has_come_refuses() -> None:
    outcome = decided(owing(PurgeBy(days=30), PurgeBy(at=NOON + timedelta(days=2))))
    assert isinstance(outcome, Permit)
    assert outcome.purge_by == NOON + timedelta(days=2)
    assert against(decided(owing(PurgeBy(at=NOON)))) == {ReasonCode.CAVEAT_UNMET}
    assert decided(owing(PurgeBy(at=NOON + timedelta(microseconds=1))))


def test_a_copy_past_its_time_is_not_handed_out_again() -> None:
    assert decided(grant("DOS"), copy_until=NOON + timedelta(microseconds=1))
    assert against(decided(grant("DOS"), copy_until=NOON)) == {ReasonCode.CAVEAT_UNMET}


def test_a_duty_of_one_grant_is_not_met_by_what_another_one_allows() -> None:
    """Two partial grants never add up: each is bound to its own conditions, and each to its own reach."""
    bound, elsewhere = owing(VerifyFirst()), grant("DOS", recipients=("DOJ",))
    far, unverified = grant("DOS", onward=True, max_hops=5, recipients=("DOJ",)), owing(Unreadable(), onward=True)
    assert not decided(bound, elsewhere)
    assert not decided(far, unverified)
    assert decided(bound, grant("DOS"))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"duties": (AttachCaveat(caveat="unheard_of"),)}, "/duties/0/caveat"),
        ({"duties": (Unreadable(),)}, "/duties/0"),
        ({"duties": (NotifyOwner(), NotifyOwner())}, "/duties"),
        ({"duties": (PurgeBy(at=NOON),)}, "/duties/0/at"),
        ({"duties": (NotifyOwner(),), "action": Action.VIEW}, "/duties/0"),
        ({"duties": (PurgeBy(days=3),), "action": Action.VIEW}, "/duties/0"),
        ({"duties": (AttachCaveat(caveat="no_onward"),), "action": Action.VIEW}, "/duties/0"),
        ({"max_hops": 2}, "/max_hops"),
    ],
)
def test_what_nobody_could_keep_is_refused_when_it_is_recorded(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(terms("DOS", **changes), BUNDLE.agencies, BUNDLE.purposes, BUNDLE.caveats, SYSTEMS, NOON)
    assert refused.value.pointer == pointer


def test_what_can_be_kept_is_taken() -> None:
    owed = (NotifyOwner(), VerifyFirst(), PurgeBy(days=3), AttachCaveat(caveat="no_onward"))
    wanted = terms("DOS", duties=owed, onward=True, max_hops=5)
    check(wanted, BUNDLE.agencies, BUNDLE.purposes, BUNDLE.caveats, SYSTEMS, NOON)
    looking = terms("DOS", duties=(VerifyFirst(),), action=Action.VIEW)
    check(looking, BUNDLE.agencies, BUNDLE.purposes, BUNDLE.caveats, SYSTEMS, NOON)


@pytest.mark.parametrize("hops", [0, 6])
def test_hops_are_one_to_five(hops: int) -> None:
    with pytest.raises(ValidationError):
        terms("DOS", onward=True, max_hops=hops)
