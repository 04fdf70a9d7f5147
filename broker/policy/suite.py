"""Runs the suites that lie beside the rules, and counts which rows they tried.

A row that no case decides by is a row that nobody has tried: it may say something else than its author believes, or
stand in the shadow of another row. It fails the suites like a wrong answer does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from broker.kernel.words import ReasonCode, Role
from broker.policy.bundle import PolicyBundle
from broker.policy.cases import Answer, DefaultAnswer, DefaultCase, RoleCase, SearchCase, ShareCase, Suite
from broker.policy.engine import PolicyEngine
from broker.policy.faults import Fault
from broker.policy.question import RoleQuestion, RuleRef, ShareQuestion
from broker.policy.third_party_default import why_not_freed


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What came of one run of all suites."""

    questions: int
    """How many questions were asked, tables and roles written out."""
    failures: tuple[Fault, ...]
    """Answers other than expected, at the line of the case."""
    uncovered: tuple[RuleRef, ...]
    """Rows that decided no case."""
    rows: int

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Everything that keeps the bundle from being loaded."""
        never = tuple(
            Fault(
                file=rule.file, line=rule.line, reason="no case in tests/ is decided by this row; add one, or remove it"
            )
            for rule in self.uncovered
        )
        return self.failures + never


def answer_of(engine: PolicyEngine, question: ShareQuestion) -> tuple[Answer, RuleRef | None]:
    """The one of the three answers that is true, and the row behind it."""
    verdict = engine.ask(question)
    if verdict:
        return Answer.ALLOW, verdict.rule
    shortfall = engine.ask_needs(question)
    if shortfall.code is ReasonCode.PERMISSION_MISSING:
        return Answer.NEEDS_PERMISSION, shortfall.rule
    return Answer.DENY, verdict.rule or shortfall.rule


def run(engine: PolicyEngine, bundle: PolicyBundle) -> SuiteReport:
    """Ask every case of every suite. Raises PolicyEngineFailure when the engine cannot answer one."""
    return _Run(engine, bundle).report()


class _Run:
    def __init__(self, engine: PolicyEngine, bundle: PolicyBundle) -> None:
        self._engine = engine
        self._bundle = bundle
        self._questions = 0
        self._decided: set[tuple[str, int]] = set()

    def report(self) -> SuiteReport:
        """All suites, then the rows that they left out."""
        bundle = self._bundle
        failures = [
            Fault(file=suite.file, line=line, reason=reason)
            for suite in bundle.suites
            for line, reason in self._differences(suite)
        ]
        rules = [row.rule for row in bundle.share_rows] + [row.rule for row in bundle.access_rows]
        rules += [searched.rule for searched in bundle.search_rows]
        rules += [entry.rule for entry in bundle.defaults]
        return SuiteReport(
            questions=self._questions,
            failures=tuple(failures),
            uncovered=tuple(rule for rule in rules if (rule.file, rule.line) not in self._decided),
            rows=len(rules),
        )

    def _differences(self, suite: Suite) -> Iterator[tuple[int, str]]:
        for share in suite.shares:
            yield from ((share.line, reason) for reason in self._share(share))
        for role in suite.roles:
            yield from ((role.line, reason) for reason in self._role(role))
        for search in suite.searches:
            yield from ((search.line, reason) for reason in self._search(search))
        for default in suite.defaults:
            yield from ((default.line, reason) for reason in self._default(default))

    def _share(self, case: ShareCase) -> Iterator[str]:
        answer, rule = answer_of(self._engine, case.question)
        self._note(rule)
        if answer is not case.expected:
            because = f" because of {rule}" if rule else ", as no row allows it"
            yield f"{case.name}: expected {case.expected}, and the answer is {answer}{because}"

    def _role(self, case: RoleCase) -> Iterator[str]:
        for role in Role:
            verdict = self._engine.ask_role(RoleQuestion(role=role, act=case.act))
            self._note(verdict.rule)
            if bool(verdict) is not (role in case.allowed):
                yield f"{case.act}: the role {role} {'may' if verdict else 'may not'}, against what is expected"

    def _search(self, case: SearchCase) -> Iterator[str]:
        for _, verdict in self._engine.searches.verdicts(case.question):
            self._note(verdict.rule if verdict else None)
        refusals = {refusal.code for refusal in self._engine.search_refusals(case.question)}
        if refusals != case.expected:
            yield f"{case.name}: expected {_listed(case.expected)}, and the answer is {_listed(refusals)}"

    def _default(self, case: DefaultCase) -> Iterator[str]:
        entry = self._engine.default_in_force(case.owner, case.decided)
        self._note(entry.rule if entry else None)
        free = self._engine.free_default(case.owner, case.decided)
        why = (
            "its default is to ask"
            if free is None
            else why_not_freed(free, [case.made], case.caveats, self._bundle.caveats)
        )
        answer = DefaultAnswer.FREED if why is None else DefaultAnswer.ASK
        if answer is not case.expected:
            because = f", as {why}" if why else f" because of {free.rule}" if free else ""
            yield f"{case.name}: expected {case.expected}, and the answer for {case.owner} is {answer}{because}"

    def _note(self, rule: RuleRef | None) -> None:
        self._questions += 1
        if rule is not None:
            self._decided.add((rule.file, rule.line))


def _listed(codes: Iterable[str]) -> str:
    return ", ".join(sorted(codes)) or "no refusal"
