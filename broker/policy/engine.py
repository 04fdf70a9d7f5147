"""Casbin behind one door: questions in, verdicts out. The only module that imports it."""

from broker.policy.bundle import PolicyBundle
from broker.policy.question import RoleQuestion, SearchQuestion, SearchRefusal, ShareQuestion, Shortfall, Verdict


class PolicyEngine:
    """One immutable bundle, ready to be asked from any thread."""

    def __init__(self, bundle: PolicyBundle) -> None:
        """Raises PolicyInvalid when the bundle fails its self-test."""
        raise NotImplementedError

    def ask(self, question: ShareQuestion) -> Verdict:
        """The owner's answer. Raises PolicyEngineFailure, which the caller must treat as a Deny with an alarm."""
        raise NotImplementedError

    def ask_needs(self, question: ShareQuestion) -> Shortfall:
        """Of a refused question: would the owner's permission change it? Asks again with `permission`."""
        raise NotImplementedError

    def ask_role(self, question: RoleQuestion) -> Verdict:
        """Whether a role may do an act at all."""
        raise NotImplementedError

    def search_refusals(self, question: SearchQuestion) -> tuple[SearchRefusal, ...]:
        """Every reason against sending this search to this partner; empty when it may be sent."""
        raise NotImplementedError
