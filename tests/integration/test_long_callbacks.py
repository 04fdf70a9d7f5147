"""A callback may be as long as the register lets its partner's answers be; what strangers send is held a few at a time."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.api.limits import ORDINARY_BODY
from broker.api.routes import callbacks
from broker.partners.callbacks import SIGNATURE_HEADER, sign
from tests.scenarios.fake_partner import candidate
from tests.scenarios.world import small_jpeg
from tests.support.edge import Edge, edge, search_terms
from tests.support.policy_files import edited, written
from tests.support.postgres import Database

LONGEST = 3_000_000
TASK = "task-1"


def at_the_edge(database: Database, home: Path, test: Callable[[Edge], Awaitable[Any]]) -> None:
    files = edited("partners.yaml", "    call_seconds: 10\n", f"    call_seconds: 10\n    reply_bytes: {LONGEST}\n")

    async def run() -> None:
        async with edge(database, home, written(files, home / "policies")) as place:
            await test(place)

    asyncio.run(run())


async def waiting(place: Edge, partner: str) -> tuple[str, str]:
    """A search whose one leg waits for its answer, and its transaction."""
    ana = place.token("ICE-HSI", "analyst")
    case = (await place.made(ana, "/v1/cases", {"reference": secrets.token_hex(4), "title": "t"}))["id"]
    search = (await place.search(ana, search_terms(case, [partner]), small_jpeg()))["id"]
    async with place.worker.work.begin() as tx:
        leg = (await place.worker.searches.read(tx, search)).legs[0]  # type: ignore[union-attr]
        await place.worker.searches.change_leg(tx, leg.transaction_id, state="pending", task_id=TASK)
    return search, leg.transaction_id


def padded(length: int) -> bytes:
    body = json.dumps([candidate()]).encode()
    return body + b" " * (length - len(body))


async def delivered(place: Edge, partner: str, transaction: str, body: bytes) -> httpx.Response:
    path = f"/v1/callbacks/{partner}?transactionId={transaction}&taskId={TASK}"
    secret = place.worker.registry.find(partner).secret()  # type: ignore[union-attr]
    signature = sign(secret, method="POST", target=path, body=body, at=datetime.now(UTC))
    return await place.client.post(path, content=body, headers={SIGNATURE_HEADER: signature})


def test_an_answer_is_as_long_as_its_partner_s_may_be(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        ends = {("dos-ccd", LONGEST): "answered", ("cbp-atsp", ORDINARY_BODY): "answered"}
        ends |= {("cbp-atsp", ORDINARY_BODY + 1): "partner_error"}
        for (partner, length), state in ends.items():
            search, transaction = await waiting(place, partner)
            assert (await delivered(place, partner, transaction, padded(length))).status_code == 204
            async with place.worker.work.begin() as tx:
                leg = (await place.worker.searches.read(tx, search)).legs[0]  # type: ignore[union-attr]
            assert leg.state == state, (partner, length, leg)
            assert leg.reason == ("too_large" if state == "partner_error" else None)

    at_the_edge(fresh_postgres, tmp_path, test)


def test_how_long_it_may_be_tells_a_stranger_of_no_partner(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        for length, status in ((LONGEST, 401), (LONGEST + 1, 413)):
            for name in ("dos-ccd", "cbp-atsp", "unheard-of"):
                came = await place.client.post(f"/v1/callbacks/{name}", content=b" " * length)
                assert came.status_code == status, (name, length)

    at_the_edge(fresh_postgres, tmp_path, test)


def test_of_strangers_long_bodies_a_few_are_held_at_a_time(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test(place: Edge) -> None:
        more = asyncio.Event()

        async def dripped() -> AsyncIterator[bytes]:
            yield b" " * (ORDINARY_BODY + 1)
            await more.wait()
            yield b" "

        held = [asyncio.create_task(place.client.post("/v1/callbacks/x", content=dripped())) for _ in range(8)]
        turned_away, _ = await asyncio.wait(held, timeout=8, return_when=asyncio.FIRST_COMPLETED)
        while len(turned_away) < 6:
            later, _ = await asyncio.wait(set(held) - turned_away, timeout=2, return_when=asyncio.FIRST_COMPLETED)
            assert later, "more are held than there is room for"
            turned_away |= later
        assert {(await one).status_code for one in turned_away} == {503}
        # What is no longer than an ordinary body needs no place, so short answers come through.
        _, transaction = await waiting(place, "dos-ccd")
        assert (await delivered(place, "dos-ccd", transaction, padded(ORDINARY_BODY))).status_code == 204
        more.set()
        assert {(await one).status_code for one in set(held) - turned_away} == {401}
        assert (await place.client.post("/v1/callbacks/x", content=b" " * LONGEST)).status_code == 401

    at_the_edge(fresh_postgres, tmp_path, test)


def test_a_long_body_that_does_not_come_is_not_waited_for(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks._BODIES, "_seconds", 0.2)

    async def test(place: Edge) -> None:
        async def stalled() -> AsyncIterator[bytes]:
            yield b" " * (ORDINARY_BODY + 1)
            await asyncio.sleep(3600)

        async with asyncio.timeout(20):
            assert (await place.client.post("/v1/callbacks/x", content=stalled())).status_code == 503

    at_the_edge(fresh_postgres, tmp_path, test)


def test_traitor_with_room_for_all_is_caught(
    fresh_postgres: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks._BODIES, "_room", 100)
    with pytest.raises(AssertionError, match="more are held"):
        test_of_strangers_long_bodies_a_few_are_held_at_a_time(fresh_postgres, tmp_path)
