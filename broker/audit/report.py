"""What a verification found."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class FaultKind(StrEnum):
    """Ways in which a log can be other than it was written."""

    ENTRY_ALTERED = "entry_altered"
    """An entry's columns do not give the leaf that was stored for it."""
    ENTRY_MISSING = "entry_missing"
    """There is a leaf for an entry that is not there."""
    ENTRY_SLIPPED_IN = "entry_slipped_in"
    """An entry claims a transaction that was sequenced long ago, and has no leaf."""
    LEAF_ALTERED = "leaf_altered"
    """The stored leaf is wrong; its entry is as it was signed, or the leaf's copy of the transaction differs."""
    LEAF_MISSING = "leaf_missing"
    LEAF_UNEXPECTED = "leaf_unexpected"
    """A second leaf in one place, or a negative one."""
    LEAF_UNSIGNED = "leaf_unsigned"
    """Leaves after the last checkpoint: the sequencer never leaves any."""
    NODE_WRONG = "node_wrong"
    NODE_MISSING = "node_missing"
    NODE_UNEXPECTED = "node_unexpected"
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    """Not signed by any of the keys given."""
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"
    """The entries are not those that were signed: `index` to `last_index` is the smallest stretch that shows it."""
    CHECKPOINT_MISSING = "checkpoint_missing"
    """A checkpoint follows on one that is not there."""
    CHECKPOINT_BEYOND = "checkpoint_beyond"
    """More was signed than there is: the end of the log is gone."""
    HELD_SIGNATURE = "held_signature"
    HELD_MISMATCH = "held_mismatch"
    """The log does not begin with what the held checkpoint was signed over."""
    HELD_BEYOND = "held_beyond"
    """The log is shorter than when the held checkpoint was signed."""


class Fault(BaseModel):
    """One thing that is wrong, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: FaultKind
    index: int | None = None
    """Leaf that it is about, or the first of a stretch of leaves."""
    last_index: int | None = None
    entry_id: int | None = None
    event_id: str | None = None
    detail: str


class Report(BaseModel):
    """The result: `entries` in all, of which `pending` are not sequenced yet, which is never a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    entries: int
    pending: int
    faults: tuple[Fault, ...]
