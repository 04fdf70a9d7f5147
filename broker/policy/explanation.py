"""Why a question is answered as it is, and what would change the answer, in words for an author."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from broker.kernel.words import Action, ItemKind
from broker.policy.bundle import PolicyBundle
from broker.policy.cases import Answer
from broker.policy.engine import PolicyEngine
from broker.policy.faults import hint, quoted
from broker.policy.question import ShareQuestion, Standing
from broker.policy.suite import answer_of

_SAID = {
    Answer.ALLOW: "Yes.",
    Answer.NEEDS_PERMISSION: "No, not as asked: the owner's permission is needed.",
    Answer.DENY: "No, with or without the owner's permission.",
}
_ASKED = {
    Action.VIEW: "May {recipient} view a {kind} of {owner}",
    Action.RELEASE: "May a {kind} of {owner} be passed on to {recipient}",
    Action.USE_IN_PROCEEDINGS: "May {recipient} use a {kind} of {owner} in proceedings",
}
_STANDING = {
    Standing.ORIGINAL: "as the component that asked the partner",
    Standing.PERMISSION: "with the owner's permission on record",
    Standing.NONE: "without any permission on record",
}


def unknown_words(bundle: PolicyBundle, owner: str, recipient: str, purpose: str) -> list[str]:
    """What the registers do not know of a question, with hints. Such a question is refused, but not explained."""
    checks = (
        ("owner", owner, bundle.agencies),
        ("recipient", recipient, bundle.agencies),
        ("purpose", purpose, bundle.purposes),
    )
    return [f"unknown {name} {quoted(word)}{hint(word, tree)}" for name, word, tree in checks if word not in tree]


def explain(engine: PolicyEngine, bundle: PolicyBundle, question: ShareQuestion) -> Iterator[str]:
    """The lines of the explanation. Every word of the question stands in the registers."""
    answer, rule = answer_of(engine, question)
    yield (
        _ASKED[question.action].format(kind=question.item_kind, owner=question.owner, recipient=question.recipient)
        + f" for {question.purpose}, {_STANDING[question.standing]}?"
    )
    yield f"{_SAID[answer]} ({answer})"
    if rule is not None:
        yield f"  {'with it, allowed by' if answer is Answer.NEEDS_PERMISSION else 'decided by'} {rule}"
        yield f"    {rule.text}"
    elif rows := engine.rows_of(question.owner):
        yield f"  no row of {rows[0].rule.file} allows it, and what no row allows is refused"
    else:
        yield f"  there is no owners/{question.owner}.csv, and an owner without a file lets nothing pass"
    yield from _changes(engine, bundle, question, answer)
    yield from _other_rows(engine, question)


def _changes(engine: PolicyEngine, bundle: PolicyBundle, question: ShareQuestion, answer: Answer) -> Iterator[str]:
    alternatives: tuple[tuple[str, Iterable[object]], ...] = (
        ("standing", Standing),
        ("recipient", (agency for agency in bundle.agencies if agency != question.owner)),
        ("action", Action),
        ("purpose", bundle.purposes),
        ("item_kind", ItemKind),
    )
    yield "The answer would be another, if this one word were another:"
    found = False
    for field, values in alternatives:
        others: dict[Answer, list[str]] = defaultdict(list)
        for value in values:
            other, _ = answer_of(engine, question.model_copy(update={field: value}))
            if other is not answer:
                others[other].append(str(value))
        for other, words in others.items():
            found = True
            yield f"  {field} {', '.join(words)}: {other}"
    if not found:
        yield "  none"


def _other_rows(engine: PolicyEngine, question: ShareQuestion) -> Iterator[str]:
    """Each row of the owner with the fields that keep it from speaking to the question."""
    rows = engine.rows_of(question.owner)
    if rows:
        yield "Every row of the owner:"
    for row in rows:
        misses = ", ".join(f"{field} is {authored}" for field, authored in engine.matching.misses(row, question))
        yield f"  {row.rule}  {row.rule.text}"
        yield f"      {'does not speak to it: ' + misses if misses else 'speaks to it'}"
