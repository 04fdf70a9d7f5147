"""What ``policies/`` says once every line of it has been checked. Values only; ``source`` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from broker.kernel.ids import AgencyId
from broker.kernel.partner import PartnerEntry
from broker.kernel.tree import Tree
from broker.kernel.words import Role
from broker.policy.cases import Suite
from broker.policy.question import Act, RuleRef
from broker.policy.search_question import SearchRule
from broker.provenance.caveats import Caveat


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Needs(StrEnum):
    """What a row asks of the recipient."""

    ORIGINAL = "original"
    PERMISSION = "permission"
    NOTHING = "nothing"
    UNMARKED = "unmarked"
    """Nothing where the owner's default frees the item; permission otherwise. For passing on only."""


class Effect(StrEnum):
    """What a matching row says."""

    ALLOW = "allow"
    DENY = "deny"


class ShareRow(_Value):
    """One checked row of an owner's file. `recipient` and `purpose` are still in the authors' little language."""

    owner: str
    recipient: str
    action: str
    purpose: str
    item_kind: str
    needs: Needs
    effect: Effect
    rule: RuleRef

    @property
    def fields(self) -> tuple[str, ...]:
        """The values in the order of the model's policy definition."""
        return (
            self.owner,
            self.recipient,
            self.action,
            self.purpose,
            self.item_kind,
            self.needs.value,
            self.effect.value,
        )


class AccessRow(_Value):
    """One checked row of ``access.csv``."""

    role: Role
    act: Act
    rule: RuleRef

    @property
    def fields(self) -> tuple[str, ...]:
        """The values in the order of the model's second policy definition, with the effect that it always has."""
        return (self.role.value, self.act.value, Effect.ALLOW.value)


class SearchRow(_Value):
    """One checked row of ``searches.csv``: for such searches, this is accepted."""

    kind: SearchRule
    partner: str
    purpose: str
    predicate: str
    accepts: str
    rule: RuleRef

    @property
    def fields(self) -> tuple[str, ...]:
        """The values in the order of the model's third policy definition, with the effect that it always has."""
        return (
            self.kind.value,
            self.partner,
            self.purpose,
            self.predicate,
            self.accepts,
            Effect.ALLOW.value,
        )


class ThirdPartyDefault(StrEnum):
    """What holds for an owner's items where no grant speaks."""

    ASK_UNLESS_FREED = "ask_unless_freed"
    FREE_UNLESS_MARKED = "free_unless_marked"


class DefaultEntry(_Value):
    """One checked entry of ``defaults.yaml``: from that day (UTC, inclusive) until the owner's next entry begins."""

    owner: AgencyId
    default: ThirdPartyDefault
    since: date
    ground: str
    rule: RuleRef


class AgencyTitle(_Value):
    """How an agency is addressed on a disclosure (R15 asks for name and address)."""

    title: str
    address: str


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """Everything that ``policies/`` says, under the digest of its bytes. Immutable; only ``source`` makes one."""

    digest: str
    files: Mapping[str, bytes]
    agencies: Tree
    agency_titles: Mapping[str, AgencyTitle]
    notified_at: Mapping[str, str]
    """Where an agency has messages sent: its registered URL. Agencies without one read them here."""
    purposes: Tree
    purpose_titles: Mapping[str, str]
    civil_purposes: frozenset[str]
    """Purposes flagged `civil_enforcement_only`: no row that needs nothing reaches them but by their own name (R4)."""
    partners: tuple[PartnerEntry, ...]
    partner_rules: Mapping[str, RuleRef]
    caveats: Mapping[str, Caveat]
    defaults: tuple[DefaultEntry, ...]
    model: Mapping[str, str]
    """The statements of ``model.conf`` by their key."""
    share_rows: tuple[ShareRow, ...]
    access_rows: tuple[AccessRow, ...]
    search_rows: tuple[SearchRow, ...]
    suites: tuple[Suite, ...]

    @property
    def rows(self) -> int:
        """How many authored rows and entries the engine must enforce."""
        return len(self.share_rows) + len(self.access_rows) + len(self.search_rows) + len(self.defaults)
