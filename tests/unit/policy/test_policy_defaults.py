"""Ask unless freed, free unless marked: what the files may say, and what holds on which day."""

from datetime import date, timedelta

import pytest

from broker.kernel.words import Action, ItemKind
from broker.policy import suite
from broker.policy.engine import PolicyEngine
from broker.policy.question import ShareQuestion, Standing
from broker.policy.source import from_files
from broker.policy.third_party_default import why_not_freed
from tests.support.policy_files import appended, edited, faults_of, lean, shipped
from tests.support.third_party_default import FREE_ROW, freeing, freeing_entry


def engine(**entries: str) -> PolicyEngine:
    """DOS's row that frees, and entries of its default: `day="default"`."""
    return PolicyEngine(from_files(lean(freeing(**entries))))


def test_an_owner_asks_as_shipped_and_before_its_first_entry_and_without_one() -> None:
    bundle = from_files(lean(shipped()))
    built = PolicyEngine(bundle)
    assert {entry.owner for entry in bundle.defaults} == set(bundle.agencies)
    for owner in (*bundle.agencies, "nobody-knows-this", ""):
        for day in (date.min, date(2026, 1, 1), date.max):
            assert built.free_default(owner, day) is None
    assert engine(**{"2027-01-01": "free_unless_marked"}).free_default("DOS", date(2026, 12, 31)) is None


def test_an_entry_holds_from_its_day_until_the_next_one_begins() -> None:
    built = engine(
        **{"2029-01-01": "free_unless_marked", "2027-01-01": "free_unless_marked", "2028-01-01": "ask_unless_freed"}
    )
    for day, since in {
        date(2026, 12, 31): None,
        date(2027, 1, 1): date(2027, 1, 1),
        date(2027, 12, 31): date(2027, 1, 1),
        date(2028, 1, 1): None,
        date(2028, 12, 31): None,
        date(2029, 1, 1): date(2029, 1, 1),
    }.items():
        found = built.free_default("DOS", day)
        assert (found.since if found else None) == since, day
    # What was made while the owner freed for the first time is asked for when it frees again.
    again = built.free_default("DOS", date(2029, 6, 1))
    assert again is not None
    assert why_not_freed(again, [date(2027, 6, 1)], (), {}) is not None


def test_the_oldest_part_and_every_caveat_count() -> None:
    bundle = from_files(lean(shipped()))
    default = engine(**{"2027-01-01": "free_unless_marked"}).free_default("DOS", date(2027, 6, 1))
    assert default is not None
    first, before = default.since, default.since - timedelta(days=1)
    assert why_not_freed(default, [first, date(2027, 5, 1)], ("lead_only",), bundle.caveats) is None
    assert "before 2027-01-01" in str(why_not_freed(default, [date(2027, 5, 1), before], (), bundle.caveats))
    for code, caveat in bundle.caveats.items():
        assert (why_not_freed(default, [first], ("lead_only", code), bundle.caveats) is None) is (not caveat.restricts)
    # What nobody can tell is not freed: an unknown caveat, and something without a time.
    assert "not in the register" in str(why_not_freed(default, [first], ("unheard_of",), bundle.caveats))
    assert why_not_freed(default, [], (), bundle.caveats) is not None


def test_a_caveat_of_which_nothing_is_said_restricts() -> None:
    files = edited("caveats.yaml", "  check: notice\n  restricts: false\n", "  check: notice\n")
    assert from_files(lean(files)).caveats["lead_only"].restricts


def test_freed_is_met_by_rows_that_say_so_and_by_no_other() -> None:
    built = engine(**{"2027-01-01": "free_unless_marked"})
    asked = ShareQuestion(
        owner="DOS",
        recipient="FBI",
        action=Action.RELEASE,
        purpose="criminal_investigation",
        item_kind=ItemKind.LEAD,
        standing=Standing.FREED,
    )
    assert built.ask(asked)
    # The same row is met by permission, so what is marked needs permission and is not forbidden.
    assert built.ask(asked.model_copy(update={"standing": Standing.PERMISSION}))
    for standing in (Standing.NONE, Standing.ORIGINAL):
        assert not built.ask(asked.model_copy(update={"standing": standing}))
    for change in (
        {"action": Action.VIEW},
        {"action": Action.USE_IN_PROCEEDINGS},
        {"purpose": "civil_immigration_enforcement"},
        {"purpose": ""},
        {"recipient": "any"},
        {"owner": "CBP"},
    ):
        assert not built.ask(asked.model_copy(update=change)), change


def test_a_deny_row_holds_against_the_default() -> None:
    files = freeing(**{"2027-01-01": "free_unless_marked"})
    files["owners/DOS.csv"] += b"p, DOS, FBI, release, any, lead, nothing, deny\n"
    built = PolicyEngine(from_files(lean(files)))
    question = {"owner": "DOS", "recipient": "FBI", "action": Action.RELEASE, "purpose": "criminal_investigation"}
    asked = ShareQuestion(**question, item_kind=ItemKind.LEAD, standing=Standing.FREED)
    assert not built.ask(asked)
    assert built.ask(asked.model_copy(update={"item_kind": ItemKind.NOTE}))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("p, DOS, any, release, any, any, unmarked, allow", "a row that needs unmarked must not reach 'civil_"),
        ("p, DOS, any, any, criminal_investigation, any, unmarked, allow", "is about 'release' alone"),
        ("p, DOS, any, view, criminal_investigation, any, unmarked, allow", "is about 'release' alone"),
        ("p, DOS, FBI, use_in_proceedings, threat_to_life, any, unmarked, allow", "is about 'release' alone"),
        ("p, DOS, FBI, release, threat_to_life, any, unmarked, deny", "a deny row needs 'nothing'"),
        ("p, DOS, FBI, release, threat_to_life, any, unmark, allow", "did you mean 'unmarked'"),
    ],
)
def test_rows_that_would_free_too_much_are_not_read(row: str, reason: str) -> None:
    fault = faults_of(lean(appended("owners/DOS.csv", row)))[0]
    assert fault.startswith("owners/DOS.csv:11: ")
    assert reason in fault


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (freeing_entry("2027-01-01", owner="dos"), "unknown owner 'dos'; did you mean 'DOS'?"),
        (freeing_entry("2027-01-01", owner="FBI"), "no row of owners/FBI.csv needs 'unmarked'"),
        (freeing_entry("2020-01-01"), "says already what holds for it from 2020-01-01 on"),
        (freeing_entry("2027-01-01", default="free"), "default: input should be 'ask_unless_freed'"),
        (freeing_entry("soon"), "from: "),
        (freeing_entry("2027-01-01T00:00:00"), "from: "),
        (freeing_entry("2027-01-01").replace("ground:", "grounds:"), "the key 'ground' is missing"),
        (freeing_entry("2027-01-01").replace("from:", "since:"), "the key 'from' is missing"),
    ],
)
def test_entries_that_say_nothing_clear_are_refused(entry: str, reason: str) -> None:
    files = appended("owners/DOS.csv", FREE_ROW)
    files["defaults.yaml"] += entry.encode()
    assert any(reason in fault and fault.startswith("defaults.yaml:") for fault in faults_of(lean(files)))


def test_an_entry_that_no_case_tries_keeps_the_policy_from_being_loaded() -> None:
    files = freeing(**{"2027-01-01": "free_unless_marked"})
    bundle = from_files(files)
    report = suite.run(PolicyEngine(bundle), bundle)
    [entry] = [rule for rule in report.uncovered if rule.file == "defaults.yaml"]
    assert "free_unless_marked" in entry.text
    case = "defaults:\n  - {name: x, owners: [DOS], made: 2027-01-01, decided: 2027-01-01, expect: ask}\n"
    files["tests/free_test.yaml"] = b"suite: a wrong expectation\n" + case.encode()
    bundle = from_files(files)
    [failure] = suite.run(PolicyEngine(bundle), bundle).failures
    assert failure.line == 3
    assert "expected ask, and the answer for DOS is freed because of defaults.yaml" in failure.reason
