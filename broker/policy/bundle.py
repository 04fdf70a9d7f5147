"""What ``policies/`` says once every line of it has been checked. Values only; ``source`` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from broker.kernel.errors import ConfigurationError
from broker.kernel.partner import PartnerEntry
from broker.kernel.tree import Tree
from broker.kernel.words import Role
from broker.policy.cases import Suite
from broker.policy.question import Act, RuleRef
from broker.provenance.caveats import Caveat


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Fault(_Value):
    """One thing that is wrong with the files; line 0 means the file as a whole."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class PolicyInvalid(ConfigurationError):
    """The files cannot be used. All faults are listed, in the order of the files."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class Needs(StrEnum):
    """What a row asks of the recipient."""

    ORIGINAL = "original"
    PERMISSION = "permission"
    NOTHING = "nothing"


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
    purposes: Tree
    purpose_titles: Mapping[str, str]
    civil_purposes: frozenset[str]
    """Purposes flagged `civil_enforcement_only`: no row that needs nothing reaches them but by their own name (R4)."""
    partners: tuple[PartnerEntry, ...]
    partner_rules: Mapping[str, RuleRef]
    caveats: Mapping[str, Caveat]
    model: str
    share_rows: tuple[ShareRow, ...]
    access_rows: tuple[AccessRow, ...]
    suites: tuple[Suite, ...]

    @property
    def rows(self) -> int:
        """How many authored rows the engine must enforce."""
        return len(self.share_rows) + len(self.access_rows)
