"""What an engine must answer before anybody may ask it: nonsense is refused, and each row does what it says."""

from typing import Protocol

from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind, Predicate
from broker.policy.bundle import Effect, Needs, PolicyBundle, SearchRow, ShareRow
from broker.policy.faults import Faults
from broker.policy.matching import ANY, UNDER, WITHIN
from broker.policy.question import PolicyEngineFailure, RoleQuestion, ShareQuestion, Standing, Verdict
from broker.policy.search_question import SearchRule

NONSENSE = ("", " ", "any", "*", "nobody-knows-this", "within:", "True")

_STANDING = {
    Needs.ORIGINAL: Standing.ORIGINAL,
    Needs.PERMISSION: Standing.PERMISSION,
    Needs.NOTHING: Standing.NONE,
    Needs.UNMARKED: Standing.FREED,
}


class Asked(Protocol):
    """As much of the engine as is tested."""

    def ask(self, question: ShareQuestion) -> Verdict:
        """The explained answer."""
        ...

    def ask_role(self, question: RoleQuestion) -> Verdict:
        """The answer about a role."""
        ...

    def casbin_allows(self, question: ShareQuestion) -> bool:
        """Casbin's own answer."""
        ...


class AskedAboutSearches(Protocol):
    """As much of the engine for searches as is tested."""

    def casbin_allows(self, rule: SearchRule, partner: str, purpose: str, predicate: str, said: str) -> bool:
        """Casbin's own answer."""
        ...


def self_test(engine: Asked, searches: AskedAboutSearches, bundle: PolicyBundle) -> None:
    """Raises PolicyInvalid naming every row that does not do what it says, and every nonsense that is allowed."""
    faults = Faults()
    owners = {row.owner: row for row in bundle.share_rows}
    if not owners:
        faults.add("owners", 0, "there is no row, and an empty policy is never loaded")
    if not bundle.access_rows:
        faults.add("access.csv", 0, "there is no row, and an empty policy is never loaded")
    for one in owners.values():
        _refuses_nonsense(engine, one, faults)
    for share in bundle.share_rows:
        _does_what_it_says(engine, bundle, share, faults)
    for access in bundle.access_rows:
        if not engine.ask_role(RoleQuestion(role=access.role, act=access.act)):
            faults.add(access.rule.file, access.rule.line, "the engine does not enforce this row")
    for row in bundle.search_rows:
        _accepts_what_it_says(searches, bundle, row, faults)
    if not bundle.search_rows:
        faults.add("searches.csv", 0, "there is no row, and an empty policy is never loaded")
    faults.refuse_any()


def witness(bundle: PolicyBundle, row: ShareRow) -> ShareQuestion:
    """A question that the row speaks to."""
    recipient = row.recipient.removeprefix(WITHIN)
    if recipient == ANY:
        recipient = next((agency for agency in bundle.agencies if agency != row.owner), row.owner)
    purpose = row.purpose.removeprefix(UNDER)
    if purpose == ANY:
        purpose = next(iter(bundle.purposes))
    return ShareQuestion(
        owner=AgencyId(row.owner),
        recipient=AgencyId(recipient),
        action=Action.RELEASE if row.action == ANY else Action(row.action),
        purpose=PurposeId(purpose),
        item_kind=ItemKind.LEAD if row.item_kind == ANY else ItemKind(row.item_kind),
        standing=_STANDING[row.needs],
    )


def _refuses_nonsense(engine: Asked, row: ShareRow, faults: Faults) -> None:
    base = ShareQuestion(
        owner=AgencyId(row.owner),
        recipient=AgencyId(""),
        action=Action.RELEASE,
        purpose=PurposeId(""),
        item_kind=ItemKind.LEAD,
        standing=Standing.PERMISSION,
    )
    for word in NONSENSE:
        question = base.model_copy(update={"recipient": word, "purpose": word})
        if engine.casbin_allows(question):
            faults.add(row.rule.file, 0, f"the engine allows a question that makes no sense ({word!r})")


def _does_what_it_says(engine: Asked, bundle: PolicyBundle, row: ShareRow, faults: Faults) -> None:
    question = witness(bundle, row)
    try:
        verdict = engine.ask(question)
    except PolicyEngineFailure as broken:
        faults.add(row.rule.file, row.rule.line, f"the engine cannot be asked about this row: {broken.detail}")
        return
    denied_by = None if verdict else verdict.rule
    # An allow row may be narrowed by a deny row of the same owner; nothing may widen a deny row.
    as_said = not verdict if row.effect is Effect.DENY else bool(verdict) or denied_by is not None
    if not as_said:
        faults.add(row.rule.file, row.rule.line, "the engine does not enforce this row")


def _accepts_what_it_says(searches: AskedAboutSearches, bundle: PolicyBundle, row: SearchRow, faults: Faults) -> None:
    partner = next(iter(bundle.partners)).id if row.partner == ANY else row.partner
    purpose = row.purpose.removeprefix(UNDER)
    purpose = next(iter(bundle.purposes)) if purpose == ANY else purpose
    predicate = Predicate.INVESTIGATION.value if row.predicate == ANY else row.predicate
    said = {ANY: predicate, "tried_or_exigent": "exigent"}.get(row.accepts, row.accepts.removeprefix(WITHIN))
    if row.kind is SearchRule.REQUESTER and row.accepts == ANY:
        said = next(iter(bundle.agencies))
    if not searches.casbin_allows(row.kind, partner, purpose, predicate, said):
        faults.add(row.rule.file, row.rule.line, "the engine does not enforce this row")
    for word in NONSENSE:
        asked = (
            (word, purpose, predicate, said),
            (partner, word, predicate, said),
            (partner, purpose, predicate, word),
        )
        # A partner is compared with the row alone; whether there is such a one is asked before.
        if any(searches.casbin_allows(row.kind, *one) for one in asked[1 if row.partner == ANY else 0 :]):
            faults.add(row.rule.file, row.rule.line, f"the engine accepts a search that makes no sense ({word!r})")
