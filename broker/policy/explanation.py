"""Why a question is answered as it is, and what would change the answer, in words for an author."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from broker.kernel.words import Action, ItemKind
from broker.policy.bundle import PolicyBundle, ThirdPartyDefault
from broker.policy.cases import Answer
from broker.policy.engine import PolicyEngine
from broker.policy.faults import hint, quoted
from broker.policy.question import ShareQuestion, Standing
from broker.policy.suite import answer_of
from broker.policy.third_party_default import why_not_freed

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
    Standing.FREED: "freed by the owner's default",
    Standing.NONE: "without any permission on record",
}


_DEFAULT = {
    ThirdPartyDefault.ASK_UNLESS_FREED: "ask unless freed",
    ThirdPartyDefault.FREE_UNLESS_MARKED: "free unless marked",
}


@dataclass(frozen=True, slots=True)
class Made:
    """When an item came into being, how it is marked, and the day on which it is to be passed on."""

    on: date
    decided: date
    caveats: tuple[str, ...]


def unknown_words(bundle: PolicyBundle, owner: str, recipient: str, purpose: str) -> list[str]:
    """What the registers do not know of a question, with hints. Such a question is refused, but not explained."""
    checks = (
        ("owner", owner, bundle.agencies),
        ("recipient", recipient, bundle.agencies),
        ("purpose", purpose, bundle.purposes),
    )
    return [f"unknown {name} {quoted(word)}{hint(word, tree)}" for name, word, tree in checks if word not in tree]


def explain(engine: PolicyEngine, bundle: PolicyBundle, asked: ShareQuestion, made: Made) -> Iterator[str]:
    """The lines of the explanation. Every word of the question stands in the registers."""
    question, default = _by_default(engine, bundle, asked, made)
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
    yield f"  {default}"
    yield from _changes(engine, bundle, question, answer)
    yield from _other_rows(engine, question)


def _by_default(
    engine: PolicyEngine, bundle: PolicyBundle, question: ShareQuestion, made: Made
) -> tuple[ShareQuestion, str]:
    """The question as the owner's default lets it be asked, and a line that says what the default is."""
    entry = engine.default_in_force(question.owner, made.decided)
    free = engine.free_default(question.owner, made.decided)
    if entry is None:
        return question, f"{question.owner} has no default on {made.decided}, so it is to ask"
    said = (
        f"{question.owner}'s default on {made.decided}: {_DEFAULT[entry.default]}, since {entry.since} ({entry.rule})"
    )
    if free is None or question.action is not Action.RELEASE or question.standing is not Standing.NONE:
        return question, said
    why_not = why_not_freed(free, [made.on], made.caveats, bundle.caveats)
    if why_not is not None:
        return question, f"{said}; it does not free this: {why_not}"
    return question.model_copy(update={"standing": Standing.FREED}), said


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
