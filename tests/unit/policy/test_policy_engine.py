"""What Casbin is asked and what is believed of it. Each trap that Casbin has is here, shown to be closed."""

import logging
import logging.config
import threading
from dataclasses import replace

import casbin
import pytest

from broker.kernel.errors import ConfigurationError
from broker.kernel.words import Action, ItemKind, ReasonCode, Role
from broker.policy import casbin_port
from broker.policy.bundle import Effect, Needs, PolicyBundle, ShareRow
from broker.policy.casbin_port import RowEngine, RowsNotEnforced
from broker.policy.engine import PolicyEngine
from broker.policy.faults import PolicyInvalid
from broker.policy.matching import Matching, met, same_or_any
from broker.policy.model import statements
from broker.policy.question import (
    Act,
    PolicyEngineFailure,
    Refused,
    RoleQuestion,
    RuleRef,
    ShareQuestion,
    Standing,
)
from broker.policy.source import from_files
from tests.support.policy_files import appended, shipped, without


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return from_files(shipped())


@pytest.fixture(scope="module")
def engine(bundle: PolicyBundle) -> PolicyEngine:
    return PolicyEngine(bundle)


def question(**words: object) -> ShareQuestion:
    base = {
        "owner": "DOS",
        "recipient": "FBI",
        "action": Action.RELEASE,
        "purpose": "criminal_investigation",
        "item_kind": ItemKind.LEAD,
        "standing": Standing.NONE,
    }
    return ShareQuestion.model_validate(base | words)


def test_dos_lets_nothing_go_without_its_permission(engine: PolicyEngine) -> None:
    refused = engine.ask(question())
    assert not refused
    assert refused.rule is None
    allowed = engine.ask(question(standing=Standing.PERMISSION))
    assert allowed
    assert allowed.rule is not None
    assert str(allowed.rule) == "owners/DOS.csv:9"


def test_cbp_passes_on_within_the_department_and_not_for_civil_enforcement(engine: PolicyEngine) -> None:
    inside = question(owner="CBP", recipient="ICE-ERO")
    assert engine.ask(inside)
    assert engine.ask(inside.model_copy(update={"purpose": "threat_to_life"}))
    assert not engine.ask(inside.model_copy(update={"purpose": "civil_immigration_enforcement"}))
    assert not engine.ask(inside.model_copy(update={"action": Action.USE_IN_PROCEEDINGS}))
    assert not engine.ask(inside.model_copy(update={"recipient": "FBI"}))


def test_standing_is_never_taken_for_another(engine: PolicyEngine) -> None:
    # Having asked is no permission to pass on, and permission to pass on does not make one the one who asked.
    assert engine.ask(question(recipient="ICE-HSI", action=Action.VIEW, standing=Standing.ORIGINAL))
    assert not engine.ask(question(recipient="ICE-HSI", standing=Standing.ORIGINAL))
    assert met("nothing", "none")
    assert not met("original", "permission")
    assert not met("permission", "original")
    assert not met("permission", "none")
    assert not met("", "")
    assert not met("anything else", "permission")


def test_a_refusal_says_whether_permission_would_help(bundle: PolicyBundle) -> None:
    files = appended("owners/DOS.csv", "p, DOS, FBI, release, any, count, nothing, deny")
    engine = PolicyEngine(from_files(files))
    missing = engine.ask_needs(question())
    assert missing.code is ReasonCode.PERMISSION_MISSING
    assert str(missing.rule) == "owners/DOS.csv:9"
    forbidden = engine.ask_needs(question(item_kind=ItemKind.COUNT))
    assert forbidden.code is ReasonCode.POLICY_FORBIDS
    assert str(forbidden.rule) == "owners/DOS.csv:11"
    # A question that came with permission and was refused cannot be helped by permission.
    assert engine.ask_needs(question(standing=Standing.PERMISSION)).code is ReasonCode.POLICY_FORBIDS


@pytest.mark.parametrize(
    "word", ["", " ", "any", "*", "dos", "DOS ", "DOS-EVIL", "within:DHS", "FBI\n", "\u0421BP", "None", "p.recipient"]
)
@pytest.mark.parametrize("field", ["owner", "recipient", "purpose"])
@pytest.mark.parametrize("standing", list(Standing))
def test_a_word_that_is_in_no_register_is_refused(
    engine: PolicyEngine, field: str, word: str, standing: Standing
) -> None:
    for owner in ("CBP", "DOS", "ICE-HSI"):
        assert not engine.ask(question(owner=owner, standing=standing).model_copy(update={field: word}))


def test_an_owner_without_a_file_lets_nothing_pass() -> None:
    files = {path: content for path, content in without("owners/FBI.csv").items() if "default_is_ask" not in path}
    engine = PolicyEngine(from_files(files))
    for standing in Standing:
        for action in Action:
            assert engine.ask(question(owner="FBI", recipient="ICE-HSI", action=action, standing=standing)) == Refused(
                rule=None
            )


def test_a_question_that_is_no_question_is_a_failure_and_not_an_answer(engine: PolicyEngine) -> None:
    broken = ShareQuestion.model_construct(
        owner="DOS", recipient="FBI", action=None, purpose=None, item_kind=None, standing=None
    )
    with pytest.raises(PolicyEngineFailure):
        engine.ask(broken)


@pytest.mark.parametrize("failure", [RuntimeError("x"), RecursionError(), SystemError("x"), KeyError("x")])
def test_whatever_casbin_raises_becomes_one_failure(
    bundle: PolicyBundle, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PolicyEngine(bundle)

    def breaks(*_: str) -> bool:
        raise failure

    monkeypatch.setattr(RowEngine, "allows", breaks)
    with pytest.raises(PolicyEngineFailure) as raised:
        engine.ask(question())
    assert raised.value.__cause__ is failure
    with pytest.raises(PolicyEngineFailure):
        engine.ask_role(RoleQuestion(role=Role.ADMIN, act=Act.GRANT_RECORD))


# --- Traitors: engines broken on purpose, each of which has to be found out.


def with_statement(bundle: PolicyBundle, key: str, value: str) -> PolicyBundle:
    return replace(bundle, model={**bundle.model, key: value})


def test_traitor_an_effect_that_allows_what_nothing_denies_is_not_built(bundle: PolicyBundle) -> None:
    with pytest.raises(ConfigurationError):
        PolicyEngine(with_statement(bundle, "e", "!some(where (p.eft == deny))"))


@pytest.mark.parametrize(
    ("leave_out", "instead"),
    [
        ("agency_reached(p.recipient, r.recipient)", "met(p.needs, r.standing)"),
        ("purpose_reached(p.purpose, r.purpose)", "met(p.needs, r.standing)"),
        ("same_or_any(p.action, r.action)", "met(p.needs, r.standing)"),
        ("met(p.needs, r.standing)", "r.owner == p.owner"),
    ],
)
def test_traitor_a_matcher_that_forgets_a_field_is_found_out(
    bundle: PolicyBundle, leave_out: str, instead: str
) -> None:
    matcher = bundle.model["m"]
    assert leave_out in matcher
    try:
        engine = PolicyEngine(with_statement(bundle, "m", matcher.replace(leave_out, instead)))
    except ConfigurationError:
        return  # The self-test saw it.
    asked = [case.question for suite in bundle.suites for case in suite.shares]
    with pytest.raises(PolicyEngineFailure, match="contradicts"):
        list(map(engine.ask, asked))


@pytest.mark.parametrize(
    "matcher",
    [
        "r.owner == p.owner || r.owner == p.owner",
        "r.owner != p.owner",
        "r.owner in p.owner",
        "keyMatch(r.owner, p.owner)",
        "regexMatch(r.owner, p.owner)",
        "eval(p.owner)",
        "r.owner == 'DOS'",
        "r.owner.startswith(p.owner)",
        "__import__('os') == r.owner",
        "True",
        "1.0",
    ],
)
def test_a_matcher_of_anything_but_equality_and_our_functions_is_not_built(bundle: PolicyBundle, matcher: str) -> None:
    with pytest.raises(ConfigurationError):
        PolicyEngine(with_statement(bundle, "m", matcher))


def test_traitor_an_engine_that_loses_or_bends_a_row_is_not_built(
    bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from casbin.model import Model

    honest = Model.add_policy

    def loses(self: Model, sec: str, ptype: str, rule: list[str]) -> object:
        return None if "use_in_proceedings" in rule else honest(self, sec, ptype, rule)

    def bends(self: Model, sec: str, ptype: str, rule: list[str]) -> object:
        return honest(self, sec, ptype, ["any" if word == "within:DHS" else word for word in rule])

    for traitor in (loses, bends):
        monkeypatch.setattr(Model, "add_policy", traitor)
        with pytest.raises(ConfigurationError):
            PolicyEngine(bundle)


@pytest.mark.parametrize("left", [{"share_rows": ()}, {"access_rows": ()}, {"share_rows": (), "access_rows": ()}])
def test_an_empty_policy_is_not_built_though_casbin_would_allow_everything(
    bundle: PolicyBundle, left: dict[str, object]
) -> None:
    with pytest.raises((PolicyInvalid, ConfigurationError)):
        PolicyEngine(replace(bundle, **left))


def test_casbin_does_allow_when_it_has_no_row() -> None:
    """The trap itself, so that nobody takes the guard away as needless."""
    from casbin.model import Model

    model = Model()
    for key, value in {"r": "sub", "p": "sub", "e": statements()["e"], "m": "r.sub == p.sub"}.items():
        model.add_def(key, key, value)
    assert casbin.Enforcer(model).enforce("") is True
    with pytest.raises(RowsNotEnforced):
        RowEngine(
            statements(),
            [],
            {"agency_reached": same_or_any, "purpose_reached": same_or_any, "same_or_any": same_or_any, "met": met},
        )


def test_a_disagreement_between_casbin_and_the_rows_is_believed_by_nobody(
    bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = PolicyEngine(bundle)
    for wrong in (True, False):
        monkeypatch.setattr(RowEngine, "allows", lambda _self, *_, wrong=wrong: wrong)
        asked = question(standing=Standing.NONE if wrong else Standing.PERMISSION)
        with pytest.raises(PolicyEngineFailure, match="contradicts"):
            engine.ask(asked)
    monkeypatch.setattr(RowEngine, "allows", lambda _self, *_: True)
    with pytest.raises(PolicyEngineFailure, match="contradicts"):
        engine.ask_role(RoleQuestion(role=Role.ADMIN, act=Act.GRANT_RECORD))


# --- What Casbin must not do on the side.


def test_casbin_logs_no_question_even_after_logging_was_configured_anew(
    bundle: PolicyBundle, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = PolicyEngine(bundle)
    # Uvicorn does this at its start. It switches on again every logger that had been switched off by hand.
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    caplog.set_level(logging.DEBUG)
    engine.ask(question())
    engine.ask(question(standing=Standing.PERMISSION))
    engine.ask_role(RoleQuestion(role=Role.ADMIN, act=Act.GRANT_RECORD))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    # The traitor: with the logger that Casbin gives itself, switched off by it and on again by others, it is told.
    inner = engine._owners["DOS"]._enforcer
    inner.logger = logging.getLogger("casbin.enforcer")
    engine.ask(question())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "DOS, FBI, release" in caplog.text


def test_many_threads_get_the_answers_that_one_gets(bundle: PolicyBundle) -> None:
    engine = PolicyEngine(bundle)
    asked = [case.question for suite in bundle.suites for case in suite.shares][::5]
    alone = [bool(engine.ask(one)) for one in asked]
    wrong: list[object] = []

    def ask_all() -> None:
        for _ in range(5):
            try:
                answers = [bool(engine.ask(one)) for one in asked]
            except Exception as broken:  # noqa: BLE001 - reported below
                wrong.append(broken)
            else:
                if answers != alone:
                    wrong.append("other answers")

    threads = [threading.Thread(target=ask_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_questions_leave_nothing_behind_in_the_engine(bundle: PolicyBundle) -> None:
    engine = PolicyEngine(bundle)
    inner = engine._owners["DOS"]._enforcer
    before = len(inner.kept)
    for number in range(200):
        engine.ask(question(recipient=f"AGENCY-{number}"))
    assert len(inner.kept) == before == 1
    assert len(inner.model.get_policy("p", "p")) == 4


def test_a_deny_row_narrows_whatever_else_allows_and_says_so(bundle: PolicyBundle) -> None:
    matching = Matching(bundle.agencies, bundle.purposes)
    rows = [
        ShareRow(
            owner="DOS",
            recipient="any",
            action="any",
            purpose="any",
            item_kind="any",
            needs=Needs.NOTHING,
            effect=effect,
            rule=RuleRef(file="f", line=line, text=""),
        )
        for line, effect in enumerate((Effect.ALLOW, Effect.DENY, Effect.ALLOW), start=1)
    ]
    verdict = matching.explain(rows, question())
    assert not verdict
    assert verdict.rule is not None
    assert verdict.rule.line == 2


def test_the_stock_functions_are_not_there(bundle: PolicyBundle) -> None:
    enforcer = casbin_port.build(casbin.Enforcer, bundle.model, [bundle.share_rows[0].fields], {"met": met}, "")
    assert set(enforcer.fm.get_functions()) == {"met"}
