"""One trace from the call to the partner, and nothing in it but names and times."""

import asyncio
import json
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from adapters.faces.samples import hit_probe
from broker import tracing
from broker.processes.model import ProcessKind
from broker.settings import Settings
from broker.wiring.parts import parts
from tests.support.edge import edge, search_terms
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database
from tests.support.raw_partner import Asked, candidate, raw_partner, reply

FOREIGN = "00-11111111111111111111111111111111-2222222222222222-01"


async def searched(database: Database, home: Path) -> tuple[list[Asked], str]:
    """A search of one partner that goes the whole way; what the partner was asked, and the search's id."""
    async with raw_partner() as partner, edge(database, home) as at:

        async def act(_asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(reply([candidate()]))

        partner.act = act
        settings = Settings(
            _env_file=None,
            home=home,
            database_url=database.app_url,
            policies=SHIPPED,
            partner_urls={"cbp-atsp": partner.url},
        )
        token = at.token("ICE-HSI", "analyst")
        at.client.headers["traceparent"] = FOREIGN
        case = (await at.made(token, "/v1/cases", {"reference": "HSI-T", "title": "t"}))["id"]
        made = await at.search(token, search_terms(case, ["cbp-atsp"]), hit_probe(0))
        async with parts(settings, ProcessKind.WORKER) as worker:
            await worker.run.look()
            await worker.run.drain(20)
        shown = (await at.call(token, "GET", f"/v1/searches/{made['id']}")).json()
        assert [leg["state"] for leg in shown["legs"]] == ["answered"]
        assert "traceparent" not in json.dumps(shown)
        return partner.searches, str(made["id"])


def hex_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def test_one_trace_leads_from_the_call_to_the_partner(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_TRACER", provider.get_tracer("tests"))
    (asked,), search = asyncio.run(searched(fresh_postgres, tmp_path))
    spans = {span.name: span for span in exporter.get_finished_spans() if span.name != "call"}
    calls = [span for span in exporter.get_finished_spans() if span.name == "call"]
    accepted = next(
        span
        for span in calls
        if (span.attributes or {}).get("http.request.method") == "POST" and hex_of(span) == hex_of(spans["leg"])
    )
    # 1. API, job and partner call are one trace; each below the one before.
    assert hex_of(accepted) == hex_of(spans["leg"]) == hex_of(spans["partner call"])
    assert spans["leg"].parent is not None
    assert spans["leg"].parent.span_id == accepted.context.span_id
    assert asked.headers["traceparent"].split("-")[1] == hex_of(accepted)
    # 2. What a caller sends is not taken up, or it could carry something of theirs to a partner.
    assert FOREIGN.split("-")[1] not in asked.headers["traceparent"]
    assert not {"tracestate", "baggage"} & set(asked.headers)
    # 3. Nothing of the act is in it: closed names, closed facts, no id, subject, purpose, or answer.
    allowed = {fact.value for fact in tracing.Fact}
    for span in exporter.get_finished_spans():
        assert set(span.attributes or {}) <= allowed
        assert not span.events
        told = f"{span.name} {dict(span.attributes or {})} {span.status.description}"
        for word in (search, "ana", "ICE", "criminal", "hit", "R-1", "answered"):
            assert word not in told


def test_while_nobody_traces_nothing_is_kept_or_sent(fresh_postgres: Database, tmp_path: Path) -> None:
    (asked,), _ = asyncio.run(searched(fresh_postgres, tmp_path))
    assert "traceparent" not in asked.headers
    with fresh_postgres.owner() as owner:
        assert owner.execute("SELECT traceparent FROM search").fetchall() == [(None,)]
