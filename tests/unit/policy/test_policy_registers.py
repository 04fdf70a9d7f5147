"""Registers and suites are YAML; what YAML would quietly do with them is refused."""

import pytest

from broker.policy import strict_yaml
from broker.policy.faults import Faults
from broker.policy.source import from_files
from tests.support.policy_files import appended, edited, faults_of, lean, shipped

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def said_of(path: str, old: str, new: str) -> str:
    files = edited(path, old, new)
    return "\n".join(faults_of(files if path.startswith("tests/") else lean(files)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2\n", "f:2: the key 'a' stands here twice"),
        (BOMB, "f:1: anchors and aliases"),
        ("a: *nobody\n", "f:1: anchors and aliases"),
        ("a: !!python/object/apply:os.system [id]\n", "f:1: tags such as"),
        ("!!binary aGk=\n", "f:1: tags such as"),
        ("[" * 50_000, "f:1: nested deeper than"),
        ("{a: " * 50_000, "f:1: nested deeper than"),
        ("a:\n" + "".join(" " * depth + "- a:\n" for depth in range(2, 60, 2)), "nested deeper than"),
        ("a: 1\n---\na: 2\n", "f:2: a file holds one document"),
        ("a: 1\n...\n---\n", "f:3: a file holds one document"),
        ("a:\n", "f:1: a value is missing"),
        ("a: null\n", "f:1: a value is missing"),
        ("a: ~\n", "f:1: a value is missing"),
        ("? [a]\n: 1\n", "f:1: a key must be one plain word"),
        ("a: 'x\n", "this is not YAML"),
        ("a: {b: 1\n", "this is not YAML"),
        ("- a\nb: c\n", "this is not YAML"),
        ("", "f:0: the file is empty"),
        ("# only words\n", "f:0: the file is empty"),
        ("[" + "x," * 21_000 + "]", "or more than"),
    ],
)
def test_hostile_yaml_is_refused_with_its_line(text: str, reason: str) -> None:
    faults = Faults()
    assert strict_yaml.read("f", text, faults) is None
    with pytest.raises(Exception, match=r"f:\d+: ") as refused:
        faults.refuse_any()
    assert reason in str(refused.value)


def test_plain_words_are_words_and_only_true_and_false_are_not() -> None:
    document = strict_yaml.read(
        "f", "[no, yes, on, NO, true, false, 12, 1.5, 012, 0x1F, 1e3, '7', 2020-01-01, .inf]", Faults()
    )
    assert document is not None
    expected = ["no", "yes", "on", "NO", True, False, 12, 1.5, "012", "0x1F", "1e3", "7", "2020-01-01", ".inf"]
    assert document.value == expected
    assert isinstance(document.value, list)
    assert [type(value) for value in document.value] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("path", "old", "new", "reason"),
    [
        ("agencies.yaml", "- id: FBI", "- id: fbi", "id: string should match"),
        ("agencies.yaml", "- id: FBI", "- id: 'FBI '", "id: string should match"),
        ("agencies.yaml", "- id: FBI", "- id: FB\u0406", "id: string should match"),
        ("agencies.yaml", "- id: FBI", "- id: DOJ", "the id 'DOJ' stands here twice"),
        ("agencies.yaml", "- id: DOJ\n", "- id: DOJ\n  notify: {url: ftp://x.example/}\n", "notify.url"),
        ("agencies.yaml", "- id: DOJ\n", "- id: DOJ\n  notify: {url: http://x.example/}\n", "use https"),
        ("agencies.yaml", "- id: DOJ\n", "- id: DOJ\n  notify: {url: https://a:b@x.example/}\n", "no credentials"),
        ("agencies.yaml", "- id: DOJ\n", "- id: DOJ\n  notify: {uri: https://x.example/}\n", "unknown key"),
        ("agencies.yaml", "- id: DOJ\n", "- id: DOJ\n  notify: https://x.example/\n", "notify"),
        (
            "partners.yaml",
            "  gallery: visas\n",
            "  gallery: visas\n  exemptions: [{duty: correction_notice}]\n",
            "missing",
        ),
        (
            "partners.yaml",
            "  gallery: visas\n",
            "  gallery: visas\n  exemptions: [{duty: x, ground: g, valid_from: 2026-01-01}]\n",
            "correction_notice",
        ),
        ("agencies.yaml", "  parent: DOJ", "  parent: DOJX", "unknown parent 'DOJX'; did you mean 'DOJ'?"),
        ("agencies.yaml", "  parent: DOJ", "  parents: DOJ", "unknown key 'parents'; did you mean 'parent'?"),
        ("agencies.yaml", "- id: DHS\n", "- id: DHS\n  parent: ICE-HSI\n", "the parents go in a circle"),
        ("agencies.yaml", "  address: 10 Sample Circle, Sampleton", "  address: ' '", "address: string should match"),
        ("agencies.yaml", "  address: 10 Sample Circle, Sampleton\n", "", "the key 'address' is missing"),
        ("purposes.yaml", "- id: threat_to_life", "- id: any", "'any' is a word of the rules"),
        (
            "purposes.yaml",
            "  civil_enforcement_only: true",
            "  civil_enforcement_only: yes",
            "should be a valid boolean",
        ),
        ("caveats.yaml", "- code: no_onward", "- code: lead_only", "the caveat 'lead_only' stands here twice"),
        ("caveats.yaml", "check: never_passed_on", "check: never", "check: input should be"),
        ("partners.yaml", "owner: DOS", "owner: DOZ", "unknown agency 'DOZ' in 'dos-ccd'; did you mean 'DOS'?"),
        ("partners.yaml", "custodian: DOS", "custodian: dos", "unknown agency 'dos'"),
        ("partners.yaml", "[STATE-EX-DMV]", "[STATE-EX-DVM]", "did you mean 'STATE-EX-DMV'?"),
        ("partners.yaml", "[STATE-EX-DMV]", "[STATE-EX-DMV, DOS]", "an owner stands twice"),
        ("partners.yaml", "[STATE-EX-DMV]", "STATE-EX-DMV", "other_owners: input should be a valid"),
        ("partners.yaml", "- id: dos-ccd", "- id: cbp-atsp", "the id 'cbp-atsp' stands here twice"),
        ("partners.yaml", "valid_from: 2020-01-01", "valid_from: 2020-13-01", "agreement.valid_from: input should be"),
        ("partners.yaml", "valid_from: 2020-01-01", "valid_from: 2040-01-01", "the agreement ends before it begins"),
        ("partners.yaml", "approved: true", "approved: 'true'", "approved: input should be a valid boolean"),
        ("partners.yaml", "caveats: [lead_only]", "caveats: [lead_onyl]", "did you mean 'lead_only'?"),
        ("partners.yaml", "[photo, video_still, document]", "[photo, video]", "did you mean 'video_still'?"),
        ("partners.yaml", "deceased_identification]", "deceased]", "did you mean 'deceased_identification'?"),
        ("partners.yaml", "http://127.0.0.1:8101/", "http://partner.example/", "plain http is for this machine only"),
        ("partners.yaml", "http://127.0.0.1:8101/", "http://127.0.0.1.partner.example/", "plain http is for this"),
        ("partners.yaml", "http://127.0.0.1:8101/", "https://u:p@partner.example/", "may hold no credentials"),
        ("partners.yaml", "http://127.0.0.1:8101/", "file:///etc/passwd", "url: "),
        ("partners.yaml", "call_seconds: 10", "call_second: 10", "unknown key 'limits.call_second'"),
        ("partners.yaml", "call_seconds: 10", "call_seconds: 0", "limits.call_seconds: input should be greater"),
    ],
)
def test_a_register_entry_that_is_not_right_is_named(path: str, old: str, new: str, reason: str) -> None:
    said = said_of(path, old, new)
    assert reason in said
    assert said.startswith(f"{path}:")


def test_a_fault_stands_at_the_line_of_the_key() -> None:
    text = shipped()["partners.yaml"].decode()
    line = next(number for number, one in enumerate(text.split("\n"), start=1) if "valid_until" in one)
    assert said_of("partners.yaml", "valid_until: 2035-12-31", "valid_until: never").startswith(
        f"partners.yaml:{line}: "
    )


def test_with_a_faulty_register_the_rows_that_name_it_are_not_blamed() -> None:
    said = faults_of(edited("agencies.yaml", "- id: DOS", "- id: dos"))
    assert [one.split(":")[0] for one in said] == ["agencies.yaml"]


def test_an_agency_removed_while_rows_still_name_it_is_a_fault_for_each_of_them() -> None:
    said = faults_of(edited("agencies.yaml", "- id: CBP", "- id: CBX"))
    assert any(one.startswith("owners/CBP.csv:0: no agency is called 'CBP'; did you mean 'CBX'?") for one in said)
    assert any(one.startswith("partners.yaml:") for one in said)
    assert any(one.startswith("tests/cbp_test.yaml:") for one in said)


def test_the_flag_for_civil_enforcement_reaches_down_the_tree() -> None:
    files = appended("purposes.yaml", "- id: civil_fines", "  title: x", "  parent: civil_immigration_enforcement")
    civil = {"civil_immigration_enforcement", "supervision_check_in", "civil_fines"}
    assert from_files(files).civil_purposes == civil


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("recipient: FBI, action: release", "recipient: FBX, action: release", "unknown recipient 'FBX'"),
        (
            "purpose: criminal_investigation,",
            "purpose: criminal,",
            "unknown purpose 'criminal'; did you mean 'criminal_investigation'?",
        ),
        ("expect: allow", "expect: alow", "expect: input should be"),
        ("action: release", "action: releases", "action: input should be"),
        ("cases:", "case:", "unknown key 'case'; did you mean 'cases'?"),
        ("    owner: CBP\n", "    owner: CPB\n", "unknown recipient 'CPB'; did you mean 'CBP'?"),
        ("actions: [view, release, use_in_proceedings]", "actions: [view, view]", "a word stands twice"),
        (
            "- {recipients: [DHS, ICE, ICE-HSI, ICE-ERO], actions: [release],",
            "- {recipients: [CBP], actions: [release],",
            "'CBP' is not among the recipients of the table",
        ),
        ("- {actions: [view, use_in_proceedings], answer: needs_permission}", "- {answer: deny}", "another answer for"),
        ("suite: CBP", "suit: CBP", "unknown key 'suit'"),
    ],
)
def test_a_case_that_would_try_nothing_is_a_fault(old: str, new: str, reason: str) -> None:
    said = said_of("tests/cbp_test.yaml", old, new)
    assert reason in said
    assert said.startswith("tests/cbp_test.yaml:")


def test_a_suite_that_asks_nothing_and_a_table_that_asks_too_much_are_refused() -> None:
    assert "the suite asks nothing" in "\n".join(faults_of(shipped() | {"tests/x_test.yaml": b"suite: x\n"}))
    agencies = ", ".join(from_files(shipped()).agencies)
    many = ", ".join(f"{word}" for word in ["candidate_list", "lead", "note", "summary", "count", "redaction"])
    table = (
        f"suite: x\ntables:\n  - name: x\n    owner: DOS\n    recipients: [{agencies}]\n    item_kinds: [{many}]\n"
        f"    actions: [{', '.join(['view', 'release', 'use_in_proceedings'] * 4)}]\n"
        f"    purposes: [{', '.join(from_files(shipped()).purposes)}]\n    standings: [none, original, permission]\n"
    )
    said = "\n".join(faults_of(shipped() | {"tests/x_test.yaml": table.encode()}))
    assert "questions; 5000 is the most" in said


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("e = some(where (p.eft == allow)) && !some", "e = !some", "'e' must read"),
        ("r.owner == p.owner && ", "", "'m' must read"),
        ("same_or_any(p.action, r.action)", "keyMatch(p.action, r.action)", "'m' must read"),
        ("&& met(p.needs, r.standing)", "&& met(p.needs, r.standing) || r.owner == p.owner", "'m' must read"),
        ("m2 = r2.role == p2.role && r2.act == p2.act", "m2 = r2.act == p2.act", "'m2' must read"),
        ("r2 = role, act\n", "", "the definition of 'r2' is missing"),
        ("[matchers]", "[matcher]", "unknown section 'matcher'"),
        ("r2 = role, act\n", "r2 = role, act\ng = _, _\n", "nothing called 'g' belongs into [request_definition]"),
        ("r2 = role, act\n", "r2 = role, act\nr2 = role, act\n", "'r2' is defined twice"),
        ("r2 = role, act\n", "r2 = role, act # and so on\n", "'r2' must read"),
    ],
)
def test_the_model_says_what_the_engine_was_built_for_or_is_refused(old: str, new: str, reason: str) -> None:
    said = said_of("model.conf", old, new)
    assert reason in said
    assert said.startswith("model.conf:")
