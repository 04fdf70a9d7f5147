"""Benchmark 1: the decision, in process and over HTTP, at registers of rising size, beside its floors."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from broker.decision import gate
from broker.decision.model import Facts, Question
from broker.grants import repository
from broker.kernel.words import Role
from tests.bench import floors, plans, register, registers
from tests.bench.calling import post
from tests.bench.ground import Ground
from tests.bench.load import Call, drive
from tests.bench.matter import ANALYST
from tests.bench.peers import SessionPeer, casbin_peers
from tests.bench.registers import Register
from tests.bench.report import ratio, say
from tests.bench.sampling import Sample, timed, timed_async

_BIG_TABLES = ("permission_grant", "grant_reach")


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    sizes: tuple[int, ...]
    rounds: int
    calls: int
    http_seconds: float
    concurrency: int


async def _in_process(found: Sequence[Register], extent: Extent) -> dict[str, Any]:
    samples: dict[tuple[str, int], Sample] = {}

    def into(name: str, size: int, milliseconds: list[float]) -> None:
        samples.setdefault((name, size), Sample(name)).add(milliseconds)

    policies = registers.policies()
    bare = await _bare_gate(found[0], policies.current.engine)
    in_memory = {"gate.decide in memory, two owners": bare, **casbin_peers(policies.current)}
    held = {one.size: await registers.held_connection(one.database) for one in found}
    peers = {one.size: SessionPeer(one.database.app_url) for one in found}
    try:
        for number in range(extent.rounds + 1):
            for one in found:
                looked = {
                    "floor: indexed lookup on a held connection": lambda c=held[one.size], o=one: _look_up(c, o),
                    "dry run (no lock), recorded": one.dry_run,
                    "locked decision of a release, recorded": one.pass_on,
                    "locked refusal, explained, recorded": one.refused,
                }
                for name, act in looked.items():
                    milliseconds = await timed_async(act, extent.calls)
                    if number:  # The first round warms up.
                        into(name, one.size, milliseconds)
                milliseconds = timed(lambda p=peers[one.size], o=one: p.select(next(o.asked)), extent.calls)
                if number:
                    into("peer: SQLModel session, select", one.size, milliseconds)
            crowded = await timed_async(found[0].pass_on_crowded, max(5, extent.calls // 10))
            if number:
                into(f"locked decision, {register.CROWD} grants of each owner cover it", found[0].size, crowded)
            for name, act in in_memory.items():
                milliseconds = timed(act, extent.calls * 5)
                if number:
                    into(name, 0, milliseconds)
            committed = await timed_async(lambda: _commit(held[found[0].size]), extent.calls)
            if number:
                into("floor: one durable insert on a held connection", 0, committed)
    finally:
        for connection in held.values():
            await connection.close()
        for peer in peers.values():
            peer.close()
    return {"samples": [{"size": size, **sample.summary()} for (_, size), sample in samples.items()]}


async def _bare_gate(one: Register, engine: Any) -> Any:
    """`gate.decide` on facts that lie ready: no I/O at all."""
    seen: list[tuple[Question, Facts]] = []
    original = gate.decide

    def listening(question: Question, facts: Facts, policy: Any, alarm: Any) -> Any:
        seen.append((question, facts))
        return original(question, facts, policy, alarm)

    gate.decide = listening
    try:
        await one.pass_on()
    finally:
        gate.decide = original
    question, facts = seen[-1]
    assert len(facts.grants) == len(register.OWNERS)

    def act() -> object:
        return gate.decide(question, facts, engine, _alarm)

    assert act()
    return act


def _alarm(failure: Exception) -> None:
    raise failure


async def _look_up(connection: "psycopg.AsyncConnection[Any]", one: Register) -> None:
    item = next(one.asked)
    owners = [str(owner) for owner in register.OWNERS]
    cursor = await connection.execute(
        repository._FIND_ACTIVE,
        {
            "owners": owners,
            "keys": [f"item:{item}"] * len(owners),
            "action": "release",
            "recipients": ["FBI", "DOJ"],
            "purposes": [register.PURPOSE],
        },
    )
    rows = await cursor.fetchall()
    assert len(rows) == len(owners)


async def _commit(connection: "psycopg.AsyncConnection[Any]") -> None:
    await connection.execute("INSERT INTO bench_floor (id, size) VALUES (gen_random_uuid()::text, 1)")


def _over_http(ground: Ground, found: Sequence[Register], extent: Extent) -> dict[str, Any]:
    token = ground.token(ANALYST.sub, ANALYST.agency, Role.ANALYST)
    with ExitStack() as running:
        floor = running.enter_context(ground.floors(found[0].database))
        urls = {one.size: running.enter_context(ground.broker(one.database, with_worker=False)) for one in found}
        differing = _shape_over_http(ground, found[0], urls[found[0].size])
        asked: list[tuple[str, int, str, list[Call]]] = [
            ("floor: FastAPI hello", 0, floor, [_hello(token, found[0])]),
            *(("POST /v1/decisions", one.size, urls[one.size], _decisions(token, one)) for one in found),
            *(("POST /v1/releases", one.size, urls[one.size], _releases(token, one)) for one in found),
        ]
        rows: dict[tuple[str, int, int], dict[str, Any]] = {}
        for concurrency in (1, extent.concurrency):
            for number in range(extent.rounds + 1):
                for name, size, url, calls in asked:
                    seconds = extent.http_seconds if number else 1.0
                    answer = drive(url, calls, concurrency=concurrency, seconds=seconds)
                    _only(answer.statuses, {"200", "201"}, name)
                    if number:
                        key = (name, size, concurrency)
                        row = rows.setdefault(key, {"sample": Sample(name), "per_second": []})
                        row["sample"].add(answer.milliseconds)
                        row["per_second"].append(round(answer.per_second, 1))
    return {
        "shape_differs_in": differing,
        "calls": [
            {
                "size": size,
                "concurrency": concurrency,
                "per_second": sorted(row["per_second"])[len(row["per_second"]) // 2],
                "per_second_rounds": row["per_second"],
                **row["sample"].summary(),
            }
            for (_, size, concurrency), row in rows.items()
        ],
    }


def _only(statuses: dict[str, int], expected: set[str], name: str) -> None:
    if not set(statuses) <= expected:
        raise RuntimeError(f"{name} was answered with {statuses}")


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def _wish(one: Register, lead: str) -> bytes:
    return json.dumps(
        {
            "item": lead,
            "recipient": {"agency": "FBI", "person": "R. Invented", "address": "1 Sample Street, Exampleton"},
            "action": "release",
            "purpose": register.PURPOSE,
            "case_id": one.matter.case,
        }
    ).encode()


def _hello(token: str, one: Register) -> Call:
    return Call("POST", "/hello", _headers(token), _wish(one, one.matter.leads[0]))


def _decisions(token: str, one: Register) -> list[Call]:
    return [Call("POST", "/v1/decisions", _headers(token), _wish(one, lead)) for lead in one.matter.leads]


def _releases(token: str, one: Register) -> list[Call]:
    return [
        Call("POST", "/v1/releases", _headers(token), _wish(one, lead), fresh_key=True) for lead in one.matter.leads
    ]


def _shape_over_http(ground: Ground, one: Register, url: str) -> list[str]:
    """Record a grant by the API and compare its rows with a bulk-loaded one about another item."""
    now = datetime.now(UTC)
    lead, other = one.matter.leads[0], one.matter.leads[1]
    terms = register.terms(register.OWNERS[0], now)
    body = terms.model_dump(mode="json", exclude={"scope", "lift"}) | {"scope": {"items": [lead]}}
    body |= {"valid_from": now.isoformat(), "valid_until": (now + timedelta(days=30)).isoformat()}
    officer = ground.token("olga.officer", register.OWNERS[0], Role.RELEASE_OFFICER)
    answer = post(url, "/v1/admin/grants", officer, body, 201)
    return register.same_shape(one.database.owner_url, str(answer["id"]), other, lead)


async def _plans(one: Register) -> list[dict[str, Any]]:
    with plans.caught() as statements:
        await one.pass_on()
        await one.refused()
    found = []
    with psycopg.connect(one.database.owner_url) as connection:
        for statement in statements:
            if statement.reads:
                real, generic = plans.plan(connection, statement), plans.generic_plan(connection, statement)
                connection.rollback()
                found.append(
                    {
                        "statement": real.statement[:300],
                        "scans": list(real.scans),
                        "generic_scans": list(generic.scans),
                        "ms": real.milliseconds,
                        "whole_tables": sorted({*real.whole_tables(_BIG_TABLES), *generic.whole_tables(_BIG_TABLES)}),
                    }
                )
    return found


def measure(ground: Ground, extent: Extent, seed: int) -> dict[str, Any]:
    """The whole benchmark."""
    return asyncio.run(_measure(ground, extent, seed))


async def _measure(ground: Ground, extent: Extent, seed: int) -> dict[str, Any]:
    shared = registers.policies()
    found = []
    for size in extent.sizes:
        found.append(await registers.build(ground, shared, size, seed))
        say(
            f"{size:,} grants recorded ({found[-1].reach_rows:,} rows of the finding aid, {found[-1].load_seconds:.0f} s)"
        )
    with psycopg.connect(found[0].database.owner_url, autocommit=True) as connection:
        connection.execute(floors.TABLE)
        connection.execute("GRANT SELECT, INSERT ON bench_floor TO broker_app")
    try:
        inside = await _in_process(found, extent)
        say("measured in process")
        questions = await _plans(found[-1])
    finally:
        for one in found:
            await one.engine.dispose()
    outside = await asyncio.to_thread(_over_http, ground, found, extent)
    say("measured over HTTP")
    return {
        "registers": [
            {"grants": one.size, "reach_rows": one.reach_rows, "load_seconds": round(one.load_seconds, 1)}
            for one in found
        ],
        "in_process": inside["samples"],
        "http": outside["calls"],
        "shape_differs_in": outside["shape_differs_in"],
        "plans_at_largest": questions,
        "ratios": _ratios(inside["samples"], outside["calls"], extent),
    }


def _ratios(inside: list[dict[str, Any]], outside: list[dict[str, Any]], extent: Extent) -> dict[str, float]:
    small, large = extent.sizes[0], extent.sizes[-1]
    times = {(one["name"], one["size"]): one["median_ms"] for one in inside}
    best = {(one["name"], one["size"]): one["best_round_median_ms"] for one in inside}
    found = {}
    for name in sorted({name for name, size in times if size == large}):
        found[f"{name}: {large:,} to {small:,} grants"] = ratio(times[name, large], times[name, small])
        found[f"{name}: the same, best rounds"] = ratio(best[name, large], best[name, small])
    lookup = times["floor: indexed lookup on a held connection", large]
    for name in ("dry run (no lock), recorded", "locked decision of a release, recorded"):
        found[f"{name}: to the lookup alone"] = ratio(times[name, large], lookup)
    rates = {(one["name"], one["size"], one["concurrency"]): one["per_second"] for one in outside}
    for (name, size, concurrency), rate in rates.items():
        if size == small:
            whole = f"{name}, {concurrency} at a time"
            found[f"{whole}: calls per second, {large:,} to {small:,} grants"] = ratio(
                rates[name, large, concurrency], rate
            )
            hello = rates["floor: FastAPI hello", 0, concurrency]
            found[f"{whole}: hello's calls per second to it"] = ratio(hello, rates[name, large, concurrency])
    return found
