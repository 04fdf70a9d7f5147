"""Why a search would, or would not, be sent to a partner, rule by rule, in words for an author."""

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from broker.policy.bundle import PolicyBundle
from broker.policy.engine import PolicyEngine
from broker.policy.faults import hint, quoted
from broker.policy.search_matching import words
from broker.policy.search_question import SearchQuestion

IN_ORDER: Final[dict[str, object]] = {
    "role": "analyst",
    "training": "valid",
    "enrolled": "yes",
    "case": "open",
    "predicate": "investigation",
    "purpose": "criminal_investigation",
    "evidentiary_basis": "reasonable_suspicion",
    "grounds_stated": True,
    "prior_methods": True,
    "exigent": False,
    "probe_kind": "photo",
    "probe_age_days": 1,
    "lawful_acquisition_attested": True,
    "first_amendment_activity": False,
    "edits": [],
    "max_candidates": 20,
    "agreement": "in_force",
}
"""What a search says where its author says nothing; partner, requester and approval come from the registers."""
_SPOKEN: Final = {"yes": True, "no": False}


def question_of(bundle: PolicyBundle, told: Iterable[str]) -> SearchQuestion:
    """A search that is in order but for what is told of it, `word=value`. Raises ValueError saying what does not fit."""
    said: dict[str, object] = {
        **IN_ORDER,
        "partner": bundle.partners[0].id,
        "requester": next(iter(bundle.agencies)),
        "approved": None,
    }
    for one in told:
        word, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"{quoted(one)} is not WORD=VALUE")
        if word not in SearchQuestion.model_fields:
            words_known = ", ".join(SearchQuestion.model_fields)
            near = hint(word, SearchQuestion.model_fields)
            raise ValueError(f"unknown word {quoted(word)}{near}; known: {words_known}")
        said[word] = _value(said[word], value)
    for word, known in (
        ("partner", bundle.partner_rules),
        ("requester", bundle.agencies),
        ("purpose", bundle.purposes),
    ):
        if str(said[word]) not in known:
            raise ValueError(f"unknown {word} {quoted(str(said[word]))}{hint(str(said[word]), known)}")
    try:
        return SearchQuestion.model_validate_json(to_json(said))
    except ValidationError as wrong:
        error = wrong.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, error['loc']))}: {error['msg'][0].lower()}{error['msg'][1:]}") from None


def explain(engine: PolicyEngine, question: SearchQuestion) -> Iterator[str]:
    """The lines of the explanation."""
    refusals = engine.search_refusals(question)
    yield f"May {question.requester} search {question.partner} for {question.purpose}?"
    yield "Yes." if not refusals else f"No, for {len(refusals)} reason{'s' if len(refusals) > 1 else ''}:"
    for refusal in refusals:
        yield f"  {refusal.code}: {refusal.detail}"
        if refusal.rule is None:
            yield "    no row accepts it, and what no row accepts is refused"
        else:
            yield f"    {refusal.rule}  {refusal.rule.text}"
    yield "Every rule of searches.csv, what this search says to it, and the row that speaks:"
    for rule, verdict in engine.searches.verdicts(question):
        row = f"{verdict.rule}  {verdict.rule.text}" if verdict.rule else "no row is about such a search"
        yield f"  {rule} ({words(question)[rule]}): {'accepted' if verdict else 'refused'}  {row}"


def _value(before: object, text: str) -> object:
    """A number, yes-or-no or list where the word is one; else the text as it is."""
    if (before is None or isinstance(before, bool)) and text in _SPOKEN:
        return _SPOKEN[text]
    if not isinstance(before, bool | int | list | None):
        return text
    if isinstance(before, list):
        return [part for part in text.split(",") if part]
    try:
        return from_json(text)
    except ValueError:
        return text
