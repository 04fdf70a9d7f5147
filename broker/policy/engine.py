"""Questions in, verdicts out. One engine holds one bundle and never changes.

Casbin decides. Beside it the rows are walked plainly, to name the row that decided; should the two ever differ,
neither is believed.
"""

from collections import defaultdict
from datetime import date
from types import MappingProxyType

from broker.kernel.errors import ConfigurationError
from broker.kernel.words import ReasonCode
from broker.policy import third_party_default
from broker.policy.bundle import AccessRow, DefaultEntry, PolicyBundle, ShareRow
from broker.policy.casbin_port import Function, RowEngine
from broker.policy.matching import Matching, met, same_or_any
from broker.policy.question import (
    Act,
    Allowed,
    FreeDefault,
    PolicyEngineFailure,
    Refused,
    RoleQuestion,
    ShareQuestion,
    Shortfall,
    Standing,
    Verdict,
)
from broker.policy.search_engine import SearchEngine
from broker.policy.search_question import SearchQuestion, SearchRefusal
from broker.policy.self_test import self_test


class PolicyEngine:
    """One immutable bundle, ready to be asked from any thread."""

    def __init__(self, bundle: PolicyBundle) -> None:
        """Raises PolicyInvalid when the bundle fails its self-test, and ConfigurationError when it cannot be built."""
        self.matching = Matching(bundle.agencies, bundle.purposes)
        by_owner: dict[str, list[ShareRow]] = defaultdict(list)
        for row in bundle.share_rows:
            by_owner[row.owner].append(row)
        self._rows = MappingProxyType({owner: tuple(rows) for owner, rows in by_owner.items()})
        self._access = MappingProxyType({(row.role, row.act): row for row in bundle.access_rows})
        defaults: dict[str, list[DefaultEntry]] = defaultdict(list)
        for entry in bundle.defaults:
            defaults[entry.owner].append(entry)
        self._defaults = MappingProxyType({owner: tuple(entries) for owner, entries in defaults.items()})
        functions: dict[str, Function] = {
            "agency_reached": self.matching.agency_reached,
            "purpose_reached": self.matching.purpose_reached,
            "same_or_any": same_or_any,
            "met": met,
        }
        try:
            # One engine for each owner: Casbin's cost is linear in rows, and an owner's file has few.
            self._owners = MappingProxyType(
                {
                    owner: RowEngine(bundle.model, [row.fields for row in rows], functions)
                    for owner, rows in self._rows.items()
                }
            )
            self.searches = SearchEngine(bundle)
            self._roles = RowEngine(bundle.model, [row.fields for row in bundle.access_rows], {}, suffix="2")
        except Exception as broken:
            raise ConfigurationError(f"the policy engine cannot be built: {broken}") from broken
        self_test(self, self.searches, bundle)

    def ask(self, question: ShareQuestion) -> Verdict:
        """The owner's answer. Raises PolicyEngineFailure, which the caller must treat as a Deny with an alarm."""
        try:
            rows = self.rows_of(question.owner)
            if not rows:
                # 1. An owner without a file lets nothing pass. Casbin is not asked: without a row it may allow.
                return Refused(rule=None)
            # 2. Casbin's answer, and beside it the plain one, which names the row.
            allowed = self.casbin_allows(question)
            verdict = self.matching.explain(rows, question)
        except Exception as broken:
            raise PolicyEngineFailure("the policy engine could not answer") from broken
        # 3. Two readings of the same rows. If they differ, one of them is wrong, and nobody knows which.
        if allowed is not bool(verdict):
            raise PolicyEngineFailure("the policy engine contradicts the rows it was given")
        return verdict

    def ask_needs(self, question: ShareQuestion) -> Shortfall:
        """Of a question that was refused: would the owner's permission change it? Asks again with `permission`."""
        verdict = self.ask(question.model_copy(update={"standing": Standing.PERMISSION}))
        if verdict and question.standing is not Standing.PERMISSION:
            return Shortfall(code=ReasonCode.PERMISSION_MISSING, rule=verdict.rule)
        return Shortfall(code=ReasonCode.POLICY_FORBIDS, rule=verdict.rule)

    def default_in_force(self, owner: str, on: date) -> DefaultEntry | None:
        """The entry of the owner's third-party default on that day (UTC); None means ask."""
        return third_party_default.in_force(self._defaults.get(owner, ()), on)

    def free_default(self, owner: str, on: date) -> FreeDefault | None:
        """That the owner's default on that day is free unless marked; None where it is to ask."""
        return third_party_default.free(self.default_in_force(owner, on))

    def ask_role(self, question: RoleQuestion) -> Verdict:
        """Whether a role may do an act at all. Raises PolicyEngineFailure."""
        row: AccessRow | None = self._access.get((question.role, question.act))
        try:
            allowed = self._roles.allows(question.role.value, question.act.value)
        except Exception as broken:
            raise PolicyEngineFailure("the policy engine could not answer") from broken
        if allowed is not (row is not None):
            raise PolicyEngineFailure("the policy engine contradicts the rows it was given")
        return Refused(rule=None) if row is None else Allowed(rule=row.rule)

    def search_refusals(self, question: SearchQuestion) -> tuple[SearchRefusal, ...]:
        """Every reason against sending this search to this partner; empty when it may be sent.

        Raises PolicyEngineFailure, which the caller must treat as a refusal with an alarm.
        """
        return self.searches.refusals(question, self.ask_role(RoleQuestion(role=question.role, act=Act.SEARCH_SUBMIT)))

    def rows_of(self, owner: str) -> tuple[ShareRow, ...]:
        """The rows of one owner's file, in their order; none for an owner without one."""
        return self._rows.get(owner, ())

    def casbin_allows(self, question: ShareQuestion) -> bool:
        """Casbin alone, unexplained; for the self-test. Whoever decides calls `ask`."""
        return self._owners[question.owner].allows(
            question.owner,
            question.recipient,
            question.action.value,
            question.purpose,
            question.item_kind.value,
            question.standing.value,
        )
