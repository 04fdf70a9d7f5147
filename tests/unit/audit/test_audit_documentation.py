"""docs/audit.md is held true."""

from pathlib import Path

from broker.audit.leaf import content, hash_of
from broker.audit.report import FaultKind
from tests.unit.audit.test_audit_checkpoint import SIGNED
from tests.unit.audit.test_audit_leaf import row

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "audit.md").read_text("utf-8")


def test_every_fault_is_explained():
    assert [kind for kind in FaultKind if f"`{kind}`" not in PAGE] == []


def test_the_example_of_a_leaf_is_true():
    assert f"    {content(row()).decode()}\n\n    {hash_of(row()).hex()}\n" in PAGE


def test_the_example_of_a_checkpoint_is_true():
    indented = "".join(f"    {line}\n" if line else "\n" for line in SIGNED.text.splitlines())
    assert indented in PAGE
