"""The authors' suites: what they find, and that a policy which fails them is not loaded."""

from datetime import UTC, datetime

import pytest

from broker.policy import suite
from broker.policy.cases import Answer
from broker.policy.engine import PolicyEngine
from broker.policy.faults import PolicyInvalid
from broker.policy.snapshot import prepare
from broker.policy.source import from_files
from tests.support.policy_files import appended, at_partner, edited, shipped

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARTNERS = ("cbp-atsp", "dos-ccd", "state-dmv", "vendor-lpr", "contractor-checkin")


def said_of(files: dict[str, bytes]) -> str:
    with pytest.raises(PolicyInvalid) as invalid:
        prepare(files, NOW)
    return str(invalid.value)


def test_the_shipped_suites_pass_and_try_every_row() -> None:
    bundle = from_files(shipped())
    report = suite.run(PolicyEngine(bundle), bundle)
    assert report.faults == ()
    assert (
        report.rows
        == bundle.rows
        == sum(map(len, (bundle.share_rows, bundle.access_rows, bundle.search_rows, bundle.defaults)))
    )
    assert report.questions > 1_000


def test_a_rule_that_opens_more_than_its_suite_expects_is_not_loaded() -> None:
    # The author meant the department and wrote the world.
    said = said_of(edited("owners/CBP.csv", "within:DHS, release, under", "any, release, under"))
    assert "FBI release criminal_investigation candidate_list with none: expected needs_permission" in said
    assert "the answer is allow because of owners/CBP.csv:9" in said


def test_a_rule_that_is_taken_away_is_missed() -> None:
    said = said_of(edited("owners/CBP.csv", "p, CBP, within:DHS", "# p, CBP, within:DHS"))
    assert "ICE-ERO release threat_to_life lead with none: expected allow, and the answer is needs_permission" in said


def test_a_row_that_nobody_tried_is_not_loaded() -> None:
    said = said_of(appended("owners/DOS.csv", "p, DOS, FBI, release, threat_to_life, count, nothing, allow"))
    assert said == "owners/DOS.csv:11: no case in tests/ is decided by this row; add one, or remove it"


def test_a_row_in_the_shadow_of_another_is_found() -> None:
    # Every question that this row speaks to is answered by the one above it.
    said = said_of(appended("owners/DOS.csv", "p, DOS, FBI, release, any, any, permission, allow"))
    assert said == "owners/DOS.csv:11: no case in tests/ is decided by this row; add one, or remove it"


def test_what_a_table_does_not_list_is_expected_to_be_deny() -> None:
    said = said_of(
        edited(
            "tests/dos_test.yaml",
            "      - {answer: needs_permission}\n",
            "      - {recipients: [FBI], answer: needs_permission}\n",
        )
    )
    assert (
        "CBP view criminal_investigation candidate_list with none: expected deny, and the answer is needs_permission"
        in said
    )
    assert ": FBI " not in said


def test_the_three_answers_exclude_each_other() -> None:
    files = appended("owners/DOS.csv", "p, DOS, VENDOR-EX, any, any, any, nothing, deny")
    bundle = from_files(files)
    engine = PolicyEngine(bundle)
    asked = {case.question: suite.answer_of(engine, case.question)[0] for one in bundle.suites for case in one.shares}
    assert set(asked.values()) == set(Answer)
    for question, answer in asked.items():
        if question.recipient == "VENDOR-EX" and question.owner == "DOS":
            assert answer is Answer.DENY


def test_a_role_that_may_more_or_less_than_listed_is_found() -> None:
    assert "item_review: the role analyst may, against what is expected" in said_of(
        appended("access.csv", "p, analyst, item_review")
    )
    assert "case_open: the role analyst may not, against what is expected" in said_of(
        edited("access.csv", "p, analyst, case_open\n", "")
    )


def test_a_search_that_would_be_sent_against_what_is_expected_is_found() -> None:
    said = said_of(
        edited(
            "partners.yaml", "probe_kinds: [photo, video_still, document]", "probe_kinds: [photo, video_still, sketch]"
        )
    )
    assert (
        "a sketch is no probe that the agreement knows: expected probe_kind_not_agreed, and the answer is no refusal"
        in said
    )


@pytest.mark.parametrize("partner", PARTNERS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("approved: true", "approved: false"),
        ("valid_until: 2035-12-31", "valid_until: 2025-12-31"),
        ("valid_from: 2020-01-01", "valid_from: 2030-01-01"),
        ("url: http://127.0.0.1:", "url: https://partner.example:"),
        ("  caveats:", "  limits: {concurrent: 2, per_second: 1, attempts: 1}\n  caveats:"),
    ],
)
def test_what_an_operator_changes_at_night_is_one_edit(partner: str, old: str, new: str) -> None:
    # Whoever has to stop a partner at once must not have to write cases first.
    files = at_partner(partner, old, new)
    files["partners.yaml"] = files["partners.yaml"].replace(b"  limits:\n    call_seconds: 10\n", b"")
    prepare(files, NOW)


def test_a_partner_that_is_taken_out_is_taken_out_of_all_that_names_it() -> None:
    files = shipped()
    before, vendor, rest = files["partners.yaml"].decode().partition("- id: vendor-lpr\n")
    files["partners.yaml"] = (before + rest.partition("\n\n")[2]).encode()
    assert vendor
    said = said_of(files).splitlines()
    assert said
    assert all("unknown partner 'vendor-lpr'" in one for one in said)
    assert {one.split(":")[0] for one in said} == {"searches.csv", "tests/searches_test.yaml"}


def test_a_case_about_a_partner_is_about_one_that_is_approved_unless_it_says_otherwise() -> None:
    suite_file = "tests/searches_test.yaml"
    unsaid = edited(suite_file, "  approved: true\n", "")
    prepare(unsaid, NOW)
    off = at_partner("dos-ccd", "approved: true", "approved: false")
    prepare({**off, suite_file: unsaid[suite_file]}, NOW)
    said = said_of(edited(suite_file, "    refused: [partner_not_approved]\n", ""))
    assert said.endswith("a partner that is switched off: expected no refusal, and the answer is partner_not_approved")


def test_a_failure_stands_at_the_line_of_its_case() -> None:
    files = edited("tests/cbp_test.yaml", "    expect: allow\n  - name: FBI", "    expect: deny\n  - name: FBI")
    text = files["tests/cbp_test.yaml"].decode().split("\n")
    line = next(number for number, one in enumerate(text, start=1) if "name: the component that asked looks" in one)
    assert said_of(files).startswith(
        f"tests/cbp_test.yaml:{line}: the component that asked looks at CBP's list: expected deny"
    )
