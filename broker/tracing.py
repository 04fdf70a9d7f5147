"""Traces: which parts of the service took part in one act, and for how long. Off unless somebody provides for them.

A trace holds nothing of the act: spans have closed names and the few facts below, never an id, a subject, a purpose, a
text or an answer; what is raised is not recorded. Its id is made here, at random, for each call: one that a caller
sends is not taken up, or it could carry something of the caller's to a partner.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

HEADER: Final = "traceparent"
_TRACER = trace.get_tracer("interagency-request-broker")
_WORDS: Final = TraceContextTextMapPropagator()


class Fact(StrEnum):
    """All that a span may say besides its name and its times."""

    METHOD = "http.request.method"
    ROUTE = "http.route"
    """The pattern of the path, not the path: that has ids in it."""
    PARTNER = "broker.partner"
    BROKE = "error.type"
    """Always the word `broke`: something on our own side did."""


@contextmanager
def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, facts: Mapping[Fact, str] | None = None, parent: str | None = None
) -> Iterator[Span]:
    """A span below the one that is open here; below *parent* where the act came from another process."""
    context = None if parent is None else _WORDS.extract({HEADER: parent}, context=Context())
    attributes = {fact.value: value for fact, value in (facts or {}).items()}
    with _TRACER.start_as_current_span(
        name, context=context, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as opened:
        yield opened


@contextmanager
def root(name: str, facts: Mapping[Fact, str]) -> Iterator[Span]:
    """The first span of a new trace, whatever is open here and whatever a caller sent."""
    attributes = {fact.value: value for fact, value in facts.items()}
    with _TRACER.start_as_current_span(
        name,
        context=Context(),
        kind=SpanKind.SERVER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        yield opened


def current() -> str | None:
    """The open span in the words of W3C Trace Context, for another process; None while nobody traces."""
    if not trace.get_current_span().is_recording():
        return None
    carrier: dict[str, str] = {}
    _WORDS.inject(carrier)
    return carrier.get(HEADER)


def tell(headers: MutableMapping[str, str]) -> None:
    """Put the open span into the headers of a call. It is a random number, and tells nothing."""
    named = current()
    if named is not None:
        headers[HEADER] = named
