"""The engine against the stock enforcer and against its own promises, on random rows and random questions."""

from dataclasses import replace

import casbin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.kernel.words import Action, ItemKind
from broker.policy import casbin_port, strict_yaml
from broker.policy.bundle import Effect, Needs, PolicyBundle, ShareRow
from broker.policy.engine import PolicyEngine
from broker.policy.faults import Faults, PolicyInvalid
from broker.policy.matching import Matching, met, same_or_any
from broker.policy.plain_text import decode
from broker.policy.question import RuleRef, ShareQuestion, Standing
from broker.policy.rows import Registers, RowReader
from broker.policy.source import from_files
from tests.support.policy_files import shipped

BUNDLE: PolicyBundle = from_files(shipped())
ENGINE = PolicyEngine(BUNDLE)
AGENCIES, PURPOSES = list(BUNDLE.agencies), list(BUNDLE.purposes)
MATCHING = Matching(BUNDLE.agencies, BUNDLE.purposes)
FUNCTIONS = {
    "agency_reached": MATCHING.agency_reached,
    "purpose_reached": MATCHING.purpose_reached,
    "same_or_any": same_or_any,
    "met": met,
}
REGISTERS = Registers(BUNDLE.agencies, BUNDLE.purposes, BUNDLE.civil_purposes)

strange = st.sampled_from(
    ["", " ", "any", "*", "dos", "DOS ", "DOS-EVIL", "within:DHS", "under:any", "'", "\\", "#", "p.owner", "True"]
)
agencies = st.sampled_from(AGENCIES)
purposes = st.sampled_from(PURPOSES)


def questions(owners: st.SearchStrategy[str] = agencies) -> st.SearchStrategy[ShareQuestion]:
    return st.builds(
        ShareQuestion,
        owner=owners,
        recipient=agencies | strange,
        action=st.sampled_from(Action),
        purpose=purposes | strange,
        item_kind=st.sampled_from(ItemKind),
        standing=st.sampled_from(Standing),
    )


@st.composite
def row_lists(draw: st.DrawFn, owner: str = "DOS") -> list[ShareRow]:
    rows = []
    for line in range(1, draw(st.integers(1, 6)) + 1):
        effect = draw(st.sampled_from(Effect))
        rows.append(
            ShareRow(
                owner=owner,
                recipient=draw(st.just("any") | agencies | agencies.map("within:".__add__)),
                action=draw(st.sampled_from(["any", *Action])),
                purpose=draw(st.just("any") | purposes | purposes.map("under:".__add__)),
                item_kind=draw(st.sampled_from(["any", *ItemKind])),
                needs=Needs.NOTHING if effect is Effect.DENY else draw(st.sampled_from(Needs)),
                effect=effect,
                rule=RuleRef(file="f", line=line, text=""),
            )
        )
    unique = {row.fields[:-1]: row for row in rows}
    return list(unique.values())


def values(question: ShareQuestion) -> tuple[str, ...]:
    return tuple(str(value) for value in question.model_dump().values())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row_lists(), st.lists(questions(st.just("DOS")), min_size=1, max_size=12))
def test_the_compiled_matcher_answers_as_the_stock_enforcer_does(
    rows: list[ShareRow], asked: list[ShareQuestion]
) -> None:
    fields = [row.fields for row in rows]
    ours = casbin_port.RowEngine(BUNDLE.model, fields, FUNCTIONS)
    stock = casbin_port.build(casbin.Enforcer, BUNDLE.model, fields, FUNCTIONS, "")
    for question in asked:
        answer = ours.allows(*values(question))
        assert answer is stock.enforce(*values(question))
        # And the plain walk, which names the row, agrees with both.
        assert answer is bool(MATCHING.explain(rows, question))


@given(questions(agencies | strange))
def test_every_question_to_the_shipped_policy_is_answered_and_explained(question: ShareQuestion) -> None:
    verdict = ENGINE.ask(question)
    if verdict:
        assert verdict.rule.file == f"owners/{question.owner}.csv"
        row = next(row for row in BUNDLE.share_rows if row.rule == verdict.rule)
        assert not list(MATCHING.misses(row, question))
    known = (
        question.owner in BUNDLE.agencies
        and question.recipient in BUNDLE.agencies
        and question.purpose in BUNDLE.purposes
    )
    assert known or not verdict


@given(row_lists(), questions(st.just("DOS")))
def test_a_row_matches_exactly_when_no_field_of_it_misses(rows: list[ShareRow], question: ShareQuestion) -> None:
    for row in rows:
        assert MATCHING.matches(row, question) is (not list(MATCHING.misses(row, question)))


@given(row_lists(), questions(st.just("DOS")))
def test_having_permission_never_turns_a_yes_into_a_no(rows: list[ShareRow], question: ShareQuestion) -> None:
    bare = question.model_copy(update={"standing": Standing.NONE})
    if MATCHING.explain(rows, bare):
        for standing in Standing:
            assert MATCHING.explain(rows, bare.model_copy(update={"standing": standing}))


@given(row_lists(), questions(st.just("DOS")), st.integers(0, 5))
def test_taking_an_allow_row_away_never_allows_and_taking_a_deny_row_away_never_refuses(
    rows: list[ShareRow], question: ShareQuestion, index: int
) -> None:
    index %= len(rows)
    fewer = rows[:index] + rows[index + 1 :]
    before, after = bool(MATCHING.explain(rows, question)), bool(MATCHING.explain(fewer, question))
    assert after <= before if rows[index].effect is Effect.ALLOW else before <= after


@given(row_lists(), questions(st.just("DOS")))
def test_the_order_of_rows_does_not_matter(rows: list[ShareRow], question: ShareQuestion) -> None:
    assert bool(MATCHING.explain(rows, question)) is bool(MATCHING.explain(rows[::-1], question))


@settings(max_examples=60, deadline=None)
@given(row_lists())
def test_whatever_rows_an_author_may_write_pass_the_self_test_of_the_engine(rows: list[ShareRow]) -> None:
    engine = PolicyEngine(replace(BUNDLE, share_rows=tuple(rows)))
    assert engine.rows_of("DOS") == tuple(rows)


row_text = st.text(
    alphabet=st.sampled_from(list("p, :#*\"'()[];DOSFBIanyallowdeny-_\\\t\r\u0421\u200b\ufeff0=")) | st.characters(),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(row_text, max_size=5).map("\n".join))
def test_no_text_becomes_a_row_that_is_not_written_in_it_word_for_word(text: str) -> None:
    faults = Faults()
    content = text.encode("utf-8", "surrogatepass")
    decoded = decode("owners/DOS.csv", content, faults)
    if decoded is None:
        assert len(faults) > 0
        return
    for row in RowReader("owners/DOS.csv", faults).share_rows(decoded, "DOS", REGISTERS):
        written = [word.strip(" ") for word in text.replace("\r\n", "\n").split("\n")[row.rule.line - 1].split(",")]
        assert written == ["p", *row.fields]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("abc:- \n[]{}'\"&*!|>#?%@,~\t01")), max_size=80))
def test_no_text_breaks_the_yaml_reader(text: str) -> None:
    faults = Faults()
    document = strict_yaml.read("f", text, faults)
    assert (document is None) is (len(faults) > 0)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(shipped())), st.integers(0, 400), st.binary(min_size=1, max_size=6))
def test_a_damaged_file_is_refused_or_means_what_it_says(path: str, at: int, damage: bytes) -> None:
    """Whatever is put anywhere into any file: a complete policy or a list of faults, never another exception."""
    files = {name: content for name, content in shipped().items() if name == path or not name.startswith("tests/")}
    files.setdefault("tests/searches_test.yaml", shipped()["tests/searches_test.yaml"])
    content = files[path]
    files[path] = content[: at % len(content)] + damage + content[at % len(content) :]
    try:
        taken = from_files(files).files[path] == files[path]
    except PolicyInvalid as invalid:
        taken = bool(invalid.faults) and all(fault.file and fault.reason for fault in invalid.faults)
    assert taken


@pytest.mark.deep
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(row_lists(), st.lists(questions(st.just("DOS")), min_size=1, max_size=12))
def test_deep_the_compiled_matcher_answers_as_the_stock_enforcer_does(
    rows: list[ShareRow], asked: list[ShareQuestion]
) -> None:
    test_the_compiled_matcher_answers_as_the_stock_enforcer_does.hypothesis.inner_test(rows, asked)
