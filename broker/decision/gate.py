"""The gate: pure, total, and complete. It collects every reason and permits only when there is none.

It reads no clock, no table and no file; whoever calls it has locked what it is given. `decide` never raises: what
it cannot work out is a Deny with the reason ``engine_failure`` and an alarm for the operator.
"""

from collections.abc import Callable, Sized
from datetime import UTC, date
from typing import Protocol

from broker.decision.model import Decision, Deny, Facts, Missing, Nearest, Permit, Question, Reason, broken
from broker.grants import duties
from broker.grants.coverage import STATE_OF_THE_GRANT, Lack, Request, lacks
from broker.grants.model import Grant
from broker.kernel.ids import AgencyId, PurposeId
from broker.kernel.words import Action, ItemKind, ReasonCode
from broker.policy.question import FreeDefault, RuleRef, ShareQuestion, Standing, Verdict
from broker.policy.third_party_default import why_not_freed
from broker.provenance.caveats import Passing, shortfall
from broker.provenance.lineage import Lineage
from broker.provenance.marking import Marking


class Policy(Protocol):
    """The authored rules, as far as the gate needs them."""

    def ask(self, question: ShareQuestion) -> Verdict:
        """One owner's verdict; raises when it cannot be given."""
        ...

    def free_default(self, owner: str, on: date) -> FreeDefault | None:
        """That the owner's default on that day (UTC) is free unless marked; None where it is to ask."""
        ...


Alarm = Callable[[Exception], None]
"""Told of a failure inside the gate, for the operators; it must not raise."""


def decide(question: Question, facts: Facts, policy: Policy, alarm: Alarm) -> Decision:
    """Permit only if nothing speaks against it; otherwise Deny with everything that does.

    A failure inside is handed to *alarm* and is a Deny.
    """
    try:
        return _Deliberation(question, facts, policy).conclude()
    except Exception as failure:  # noqa: BLE001 - whatever broke, the answer is no
        alarm(failure)
        return broken("the decision could not be made; the operators have been alerted")


def requests(question: Question, lineage: Lineage) -> tuple[Request, ...]:
    """For every owner of what is asked for but the recipient, what that owner would have to have permitted."""
    if question.purpose is None:
        return ()
    asked_for = lineage.concerning(question.places())
    others = sorted(asked_for.owners - {question.recipient})
    return tuple(_request(question, asked_for, owner, question.purpose) for owner in others)


def looks_from_outside(question: Question, lineage: Lineage) -> bool:
    """Whether somebody looks who neither owns all of it nor asked for it: a look that lets information out."""
    return question.action is Action.VIEW and any(
        question.asker not in (part.owner, part.asked_by) for part in lineage.markings
    )


def review_gaps(unreviewed: Sized, disputed: Sized) -> list[str]:
    """What is lacking of the reviews of the lists behind an item, in words."""
    gaps = []
    if len(unreviewed):
        gaps.append(f"{len(unreviewed)} candidate list(s) behind this item lack the dispositions of two reviewers")
    if len(disputed):
        gaps.append(f"of {len(disputed)} candidate list(s) behind this item the reviewers disagree; a third is needed")
    return gaps


def _request(question: Question, lineage: Lineage, owner: AgencyId, purpose: PurposeId) -> Request:
    parts = lineage.parts_of(owner)
    return Request(
        owner=owner,
        parts=parts,
        item=question.item,
        kind=question.kind,
        recipient=question.recipient,
        action=question.action,
        purpose=purpose,
        case_id=question.case_id,
        fields=question.fields,
        hops=_hops(question, parts),
    )


def _hops(question: Question, parts: tuple[Marking, ...]) -> int:
    """Who only looks passes nothing on; who passes on what another component asked for has received it."""
    if question.action is Action.VIEW:
        return 0
    received = any(part.asked_by != question.asker for part in parts)
    return max(question.hops - 1, 1 if received else 0)


class _Deliberation:
    """One run of the numbered steps; it exists to collect reasons and is thrown away."""

    def __init__(self, question: Question, facts: Facts, policy: Policy) -> None:
        self.question = question
        self.facts = facts
        self.asked_for = facts.lineage.concerning(question.places())
        """The markings of what is asked for: some of the item's where fields are named, else all of them."""
        self.policy = policy
        self.reasons: list[Reason] = []
        self.missing: list[Missing] = []
        self.used: list[Grant] = []
        self.rules: list[RuleRef] = []
        self.exigent_owners: list[AgencyId] = []

    def conclude(self) -> Decision:
        # 0. The question is complete and every id in it is known.
        purpose = self._known_purpose()
        # 1. Something without an owner is locked, not free.
        owners = self.asked_for.owners
        if not owners:
            self._against(ReasonCode.NO_PROVENANCE, None, "nobody is recorded as the owner of this item")
        # 2. All owners of what is asked for are asked, whoever they are, except the recipient about its own.
        others = sorted(owners - {self.question.recipient})
        # 3. Each owner's own rules, with that owner's grants.
        for owner in others:
            self._ask_owner(owner, purpose)
        # 4. Every caveat on the item and on the grants relied on.
        caveats = self._check_caveats()
        # 5. What holds for the item itself: not past its time, and reviewed before anything made of it leaves.
        self._check_item()
        # 6. Permit only if no reason was collected.
        if self.reasons:
            return Deny(reasons=tuple(self.reasons), missing=tuple(self.missing))
        owed = [duty for grant in self.used for duty in grant.terms.duties]
        return Permit(
            grants=tuple(sorted(g.id for g in self.used)),
            rules=tuple(self.rules),
            caveats=caveats,
            purge_by=duties.purge_by(owed, self.facts.now),
            exigent_owners=tuple(self.exigent_owners),
        )

    def _known_purpose(self) -> PurposeId | None:
        question, trees = self.question, self.facts.trees
        if question.recipient not in trees.agencies:
            self._against(ReasonCode.QUESTION_INCOMPLETE, None, "the recipient is not an agency of the register")
        if question.asker not in trees.agencies:
            self._against(ReasonCode.QUESTION_INCOMPLETE, None, "the asking component is not in the register")
        if question.purpose is None or question.purpose not in trees.purposes:
            if self.asked_for.owners - {question.recipient}:
                self._against(ReasonCode.QUESTION_INCOMPLETE, None, "the purpose is not one of the register")
            return None
        return question.purpose

    def _ask_owner(self, owner: AgencyId, purpose: PurposeId | None) -> None:
        if purpose is None:
            return  # Step 0 has spoken against it already.
        if owner not in self.facts.trees.agencies:
            detail = f"{owner} is not in the register of agencies, so there is nobody who could permit this"
            self._against(ReasonCode.NO_PROVENANCE, owner, detail)
            return
        original = self._is_original(owner)
        verdict = self._verdict(owner, purpose, Standing.ORIGINAL if original else Standing.NONE)
        moved = self._moved(owner)
        if verdict and not moved:
            self.rules.append(verdict.rule)
            return
        default = self._free_default(owner)
        why_not = moved or (self._why_not_freed(default) if default is not None else None)
        if default is not None and why_not is None and (freed := self._verdict(owner, purpose, Standing.FREED)):
            self.rules += [freed.rule, default.rule]
            return
        with_permission = self._verdict(owner, purpose, Standing.PERMISSION)
        if not with_permission:
            self._against(
                ReasonCode.POLICY_FORBIDS,
                owner,
                f"{owner}'s rules allow this to nobody, with or without a grant",
                with_permission.rule or verdict.rule,
            )
            return
        self._rely_on_grant(owner, purpose, with_permission.rule, why_not)

    def _rely_on_grant(self, owner: AgencyId, purpose: PurposeId, rule: RuleRef, why_not_freed: str | None) -> None:
        request = _request(self.question, self.asked_for, owner, purpose)
        covering = [grant for grant in self.facts.grants if not self._lacks(grant, request)]
        fitting = [grant for grant in covering if not self._conditions_unmet(grant, owner)]
        if fitting:
            # A grant without a limit first, so that a counted use is not spent where none is needed.
            chosen = min(fitting, key=lambda grant: (grant.terms.max_uses is not None, grant.id))
            self.used.append(chosen)
            self.rules.append(rule)
            return
        for grant in covering:
            for unmet in self._conditions_unmet(grant, owner):
                self._against(ReasonCode.CAVEAT_UNMET, owner, unmet)
        if covering:
            return
        if self._exigent(owner, purpose, request):
            self.rules.append(rule)
            return
        self._miss(owner, purpose, request, rule, why_not_freed)
        self._explain_past(owner, request)

    def _exigent(self, owner: AgencyId, purpose: PurposeId, request: Request) -> bool:
        """Whether imminent danger stands for a permission of this owner that is missing, now or still.

        It does for passing on by the component that asked, and not for civil enforcement. Nothing else that speaks
        against the release is touched by it: rules that forbid, caveats, recalls and reviews are.
        """
        exigency, question = self.question.exigent, self.question
        civil = purpose in self.facts.trees.civil
        if exigency is None or question.action is not Action.RELEASE or civil or request.hops:
            return False
        if exigency.until is not None and owner not in exigency.told:
            return False  # It permitted this by a grant, which is gone, and was never asked to speak about a danger.
        if owner in exigency.refused:
            self._against(ReasonCode.EXIGENT_REFUSED, owner, f"{owner} has refused this exigent release")
        elif owner not in exigency.ratified and exigency.until is not None and not self.facts.now < exigency.until:
            detail = f"a day has passed, and {owner} has not ratified this exigent release"
            self._against(ReasonCode.EXIGENT_LAPSED, owner, detail)
        elif owner in exigency.lapsed:
            detail = f"an earlier exigent release of this was not ratified by {owner} in its day; now it takes a grant"
            self._against(ReasonCode.EXIGENT_LAPSED, owner, detail)
        else:
            self.exigent_owners.append(owner)
            return True
        return False

    def _miss(
        self, owner: AgencyId, purpose: PurposeId, request: Request, rule: RuleRef, why_not_freed: str | None
    ) -> None:
        nearest = self._nearest(owner, request)
        detail = f"no grant of {owner} on record covers this; {owner} can give it"
        if why_not_freed:
            detail += f" ({why_not_freed})"
        self._against(ReasonCode.PERMISSION_MISSING, owner, detail, rule, nearest)
        self.missing.append(
            Missing(
                owner=owner,
                action=self.question.action,
                recipient=self.question.recipient,
                purpose=purpose,
                nearest=nearest,
            )
        )

    def _nearest(self, owner: AgencyId, request: Request) -> Nearest | None:
        if self.facts.near_grants is None:
            return None
        known = (*self.facts.grants, *self.facts.past_grants, *self.facts.near_grants)
        lacking = {grant.id: self._lacks(grant, request) for grant in known if grant.terms.owner == owner}
        if not lacking:
            return None
        grant = min(lacking, key=lambda one: (len(lacking[one]), one))
        return Nearest(grant=grant, lacks=tuple(sorted(lacking[grant])))

    def _explain_past(self, owner: AgencyId, request: Request) -> None:
        said = set()
        for grant in (*self.facts.grants, *self.facts.past_grants):
            lacking = self._lacks(grant, request)
            if not lacking <= STATE_OF_THE_GRANT:
                continue
            for lack, code in _STATE_CODES.items():
                if lack in lacking and code not in said:
                    said.add(code)
                    self._against(code, owner, f"a grant of {owner} would cover this, but it is {lack}")

    def _check_caveats(self) -> tuple[str, ...]:
        carried: set[str] = set()
        for marking in self.asked_for.markings:
            carried.update(marking.caveats)
            for unmet in self._unmet(marking.caveats, marking.owner):
                self._against(ReasonCode.CAVEAT_UNMET, marking.owner, unmet)
        for grant in self.used:
            carried.update(grant.terms.caveats, duties.attached(grant.terms.duties))
        return tuple(sorted(carried))

    def _conditions_unmet(self, grant: Grant, owner: AgencyId) -> list[str]:
        terms = grant.terms
        caveats = self._unmet((*terms.caveats, *duties.attached(terms.duties)), owner)
        return [*caveats, *duties.unmet(terms.duties, self.facts.now, verified=owner in self.facts.verified)]

    def _check_item(self) -> None:
        expires = self.facts.lineage.expires_at
        if expires is not None and not self.facts.now < expires:
            self._against(ReasonCode.ITEM_EXPIRED, None, "the item is past its time")
        copy_until = self.question.copy_until
        if copy_until is not None and not self.facts.now < copy_until:
            self._against(ReasonCode.CAVEAT_UNMET, None, "purge_by: this copy was to be gone by now")
        if self.question.action is not Action.VIEW or looks_from_outside(self.question, self.facts.lineage):
            for owner, kind in self.facts.notices:
                named = self._named(owner)
                detail = f"{named or 'an owner'} has announced that this, or something it is made of, is {kind}"
                self._against(ReasonCode.ITEM_RECALLED, named, detail)
        if self.question.action is not Action.VIEW:
            for owner in sorted(self.facts.unconfirmed):
                named = self._named(owner)
                said = "was asked about this, or about something it is made of, and did not confirm it"
                self._against(ReasonCode.CAVEAT_UNMET, named, f"{named or 'an owner'} {said}")
        if self.question.action is not Action.VIEW and self.question.kind is not ItemKind.CANDIDATE_LIST:
            for gap in review_gaps(self.facts.unreviewed, self.facts.disputed):
                self._against(ReasonCode.NOT_REVIEWED, None, gap)

    def _named(self, owner: AgencyId) -> AgencyId | None:
        # What is made of one place of a source need not be of every owner of that source, and then does not name them.
        return owner if owner in self.facts.lineage.owners else None

    def _unmet(self, codes: tuple[str, ...], owner: AgencyId) -> list[str]:
        verified = owner in self.facts.verified
        passing = Passing(
            owner=owner,
            recipient=self.question.recipient,
            own_look=self._is_original(owner),
            agencies=self.facts.trees.agencies,
            verified=verified,
            settled=self._moved(owner) is None,
        )
        found = []
        for code in codes:
            caveat = self.facts.caveats.get(code)
            if caveat is None:
                if self.question.recipient != owner:
                    found.append("a caveat on this item is not in the register, so it cannot be met")
                continue
            unmet = shortfall(caveat, passing)
            if unmet is not None:
                found.append(unmet)
        return found

    def _free_default(self, owner: AgencyId) -> FreeDefault | None:
        """Only for passing on: no default reaches a look or a use in proceedings."""
        if self.question.action is not Action.RELEASE:
            return None
        return self.policy.free_default(owner, self.facts.now.astimezone(UTC).date())

    def _why_not_freed(self, default: FreeDefault) -> str | None:
        parts = self.asked_for.parts_of(default.owner)
        made = [part.at.astimezone(UTC).date() for part in parts]
        codes = {code for part in parts for code in part.caveats}
        return why_not_freed(default, made, codes, self.facts.caveats)

    def _moved(self, owner: AgencyId) -> str | None:
        """Why nothing is free here: what was freed for those who stood in a place is not for who was put there later."""
        if self.question.action is Action.VIEW:
            return None
        at = [part.at for part in self.asked_for.parts_of(owner)]
        if all(self.facts.settled(agency, at) for agency in (self.question.recipient, owner)):
            return None
        return "the recipient or the owner was put where it stands in the register after this came to be"

    def _is_original(self, owner: AgencyId) -> bool:
        """The component that asked may come as the one that asked, for looking and for nothing else."""
        parts = self.asked_for.parts_of(owner)
        return self.question.action is Action.VIEW and all(p.asked_by == self.question.recipient for p in parts)

    def _lacks(self, grant: Grant, request: Request) -> frozenset[Lack]:
        return lacks(grant, request, self.facts.trees, self.facts.now, self.facts.already_counted)

    def _verdict(self, owner: AgencyId, purpose: PurposeId, standing: Standing) -> Verdict:
        return self.policy.ask(
            ShareQuestion(
                owner=owner,
                recipient=self.question.recipient,
                action=self.question.action,
                purpose=purpose,
                item_kind=self.question.kind,
                standing=standing,
            )
        )

    def _against(
        self,
        code: ReasonCode,
        owner: AgencyId | None,
        detail: str,
        rule: RuleRef | None = None,
        nearest: Nearest | None = None,
    ) -> None:
        reason = Reason(code=code, owner=owner, rule=rule, detail=detail, nearest=nearest)
        if reason not in self.reasons:
            self.reasons.append(reason)


_STATE_CODES = {
    Lack.REVOKED: ReasonCode.GRANT_REVOKED,
    Lack.SUPERSEDED: ReasonCode.GRANT_SUPERSEDED,
    Lack.ENTERED_IN_ERROR: ReasonCode.GRANT_ENTERED_IN_ERROR,
    Lack.EXPIRED: ReasonCode.GRANT_EXPIRED,
    Lack.EXHAUSTED: ReasonCode.GRANT_EXHAUSTED,
}
