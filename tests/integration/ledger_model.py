"""What must be so, kept in plain sets beside the real service: whose each item is, and what each owner permits.

It knows the shipped files' rules in one line each and nothing of how the broker works.
"""

from dataclasses import dataclass, field
from datetime import datetime

_WITHIN_DHS = {"DHS", "CBP", "ICE", "ICE-HSI", "ICE-ERO"}


@dataclass
class Permission:
    """One grant as its owner means it."""

    owner: str
    item: str
    recipient: str
    until: datetime
    max_uses: int | None
    standing: bool = True
    used: int = 0
    """Releases on record that name it."""


@dataclass
class Books:
    """The model's own record."""

    owners: dict[str, frozenset[str]] = field(default_factory=dict)
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    grants: dict[str, Permission] = field(default_factory=dict)
    notices: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Standing notices: owner and item named."""
    acts: dict[str, int] = field(default_factory=dict)
    """How many rows of each audit tag there have to be."""

    def did(self, tag: str, times: int = 1) -> None:
        self.acts[tag] = self.acts.get(tag, 0) + times

    def made_of(self, item: str) -> frozenset[str]:
        """The item and all it was made of."""
        return frozenset({item}).union(*(self.made_of(source) for source in self.sources.get(item, ())))

    def recalled(self, item: str) -> bool:
        """Whether an owner has announced something about the item or about what it is made of."""
        return any(named in self.made_of(item) for _, named in self.notices.values())

    def permitting(self, owner: str, item: str, recipient: str, now: datetime) -> list[Permission]:
        """The owner's grants that hold for exactly this."""
        return [
            one
            for one in self.grants.values()
            if (one.owner, one.item, one.recipient) == (owner, item, recipient)
            and one.standing
            and now < one.until
            and (one.max_uses is None or one.used < one.max_uses)
            and not any(o == owner and named in self.made_of(item) for o, named in self.notices.values())
        ]

    def lacking(self, item: str, recipient: str, now: datetime) -> frozenset[str]:
        """The owners without whose permission the item may not go there."""
        return frozenset(
            owner
            for owner in self.owners[item] - {recipient}
            if not (owner == "CBP" and recipient in _WITHIN_DHS)
            and owner != "ICE-HSI"
            and not self.permitting(owner, item, recipient, now)
        )

    def may_pass(self, item: str, recipient: str, now: datetime) -> bool:
        """Whether a release has to be permitted."""
        return not self.lacking(item, recipient, now) and not self.recalled(item)
