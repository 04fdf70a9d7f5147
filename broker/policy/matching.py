"""The authors' little language, read plainly: does this row speak to this question?

The engine's registered functions are these, and the explanation of a verdict walks the rows with them. They compare
whole names in the closed trees; there is no pattern, no prefix, no folding of case.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from broker.kernel.tree import Tree
from broker.policy.bundle import Effect, Needs, ShareRow
from broker.policy.question import Allowed, Refused, ShareQuestion, Standing, Verdict

ANY: Final = "any"
WITHIN: Final = "within:"
"""Before an agency: it and everything below it."""
UNDER: Final = "under:"
"""Before a purpose: it and everything below it."""


def reaches(tree: Tree, prefix: str) -> Callable[[str, str], bool]:
    """A function of (authored, asked): whether the authored word reaches the asked name in *tree*."""

    def reach(authored: str, asked: str) -> bool:
        if asked not in tree:
            return False
        if authored == ANY:
            return True
        if authored.startswith(prefix):
            return tree.within(asked, authored.removeprefix(prefix))
        return authored == asked

    return reach


def same_or_any(authored: str, asked: str) -> bool:
    """Whether the authored word is `any` or exactly the asked one."""
    return authored in (ANY, asked)


def met(needs: str, standing: str) -> bool:
    """Whether the standing is what the row needs. Permission does not make somebody the one who asked, nor the reverse."""
    if needs == Needs.NOTHING.value:
        return True
    if needs == Needs.ORIGINAL.value:
        return standing == Standing.ORIGINAL.value
    if needs == Needs.UNMARKED.value:
        return standing in (Standing.FREED.value, Standing.PERMISSION.value)
    return needs == Needs.PERMISSION.value and standing == Standing.PERMISSION.value


class Matching:
    """Rows walked one by one, without Casbin: it explains what Casbin decided, and the two must agree."""

    def __init__(self, agencies: Tree, purposes: Tree) -> None:
        self.agency_reached = reaches(agencies, WITHIN)
        self.purpose_reached = reaches(purposes, UNDER)

    def matches(self, row: ShareRow, question: ShareQuestion) -> bool:
        """Whether every field of the row speaks to the question."""
        return (
            row.owner == question.owner
            and same_or_any(row.action, question.action.value)
            and met(row.needs.value, question.standing.value)
            and self.agency_reached(row.recipient, question.recipient)
            and self.purpose_reached(row.purpose, question.purpose)
            and same_or_any(row.item_kind, question.item_kind.value)
        )

    def misses(self, row: ShareRow, question: ShareQuestion) -> Iterator[tuple[str, str]]:
        """Each field that keeps the row from speaking to the question, and what stands in it; none if it matches."""
        checks = (
            ("owner", row.owner, row.owner == question.owner),
            ("recipient", row.recipient, self.agency_reached(row.recipient, question.recipient)),
            ("action", row.action, same_or_any(row.action, question.action.value)),
            ("purpose", row.purpose, self.purpose_reached(row.purpose, question.purpose)),
            ("item_kind", row.item_kind, same_or_any(row.item_kind, question.item_kind.value)),
            ("needs", row.needs.value, met(row.needs.value, question.standing.value)),
        )
        return ((field, authored) for field, authored, matched in checks if not matched)

    def explain(self, rows: Iterable[ShareRow], question: ShareQuestion) -> Verdict:
        """The first deny row that matches, else the first allow row, else a refusal without a row."""
        allowing: ShareRow | None = None
        for row in rows:
            if self.matches(row, question):
                if row.effect is Effect.DENY:
                    return Refused(rule=row.rule)
                allowing = allowing or row
        return Allowed(rule=allowing.rule) if allowing else Refused(rule=None)
