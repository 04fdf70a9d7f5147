"""The same request sent twice is one act; a key for something else, or for somebody else, is another matter."""

import asyncio
from typing import Any

import httpx
import psycopg

from tests.scenarios.world import World, answered, codes, fresh, refused, small_jpeg

PROBE = small_jpeg()


def count(world: World, table: str, where: str, value: str) -> int:
    with world.stack.owner() as owner:
        row = owner.execute(f"SELECT count(*) FROM {table} WHERE {where} = %s", [value]).fetchone()
    assert row is not None
    return int(row[0])


def test_without_a_key_it_is_400(world: World) -> None:
    wish = world.wish(world.material["cbp-atsp"], "ICE-ERO")
    assert "idempotency-key" in refused(world.analyst.post("/v1/releases", json=wish), 400)["type"]
    assert "idempotency-key" in refused(world.analyst.post("/v1/searches", content=b""), 400)["type"]
    for key in ("", "x" * 201):
        response = world.analyst.post("/v1/releases", json=wish, headers={"Idempotency-Key": key})
        refused(response, response.status_code)
        assert response.status_code in (400, 422)


def test_a_search_repeated_is_the_same_search(world: World) -> None:
    case, key = world.case(), fresh()
    first = world.submit(world.terms(case, partners=["cbp-atsp"]), PROBE, key=key)
    accepted = answered(first, 202)
    world.finished(accepted["id"])
    again = world.submit(world.terms(case, partners=["cbp-atsp"]), PROBE, key=key)
    assert answered(again, 202)["id"] == accepted["id"]
    assert again.headers["location"] == first.headers["location"] == f"/v1/searches/{accepted['id']}"
    assert count(world, "search", "case_id", case) == 1


def test_a_key_with_another_body_is_422(world: World) -> None:
    case, key = world.case(), fresh()
    answered(world.submit(world.terms(case, partners=["cbp-atsp"]), PROBE, key=key), 202)
    refused(world.submit(world.terms(case, partners=["dos-ccd"]), PROBE, key=key), 422)
    refused(world.submit(world.terms(case, partners=["cbp-atsp"]), small_jpeg(quality=30), key=key), 422)
    item, key = world.material["cbp-atsp"], fresh()
    answered(world.release(item, "ICE-ERO", key=key), 201)
    refused(world.release(item, "ICE", key=key), 422)
    refused(world.release(item, "ICE-ERO", key=key, fields=["/candidates"]), 422)


def test_a_release_repeated_is_the_same_release(world: World) -> None:
    lead, key = world.dos_lead(), fresh()
    world.granted("DOS", lead)
    first = answered(world.release(lead, key=key), 201)
    assert answered(world.release(lead, key=key), 201) == first
    assert count(world, "release", "item_id", lead) == 1
    assert count(world, "disclosure", "item_id", lead) == 1


def test_a_replay_is_decided_anew(world: World) -> None:
    """The traitor repeats the first answer without asking again whether it may still be given."""
    lead, key = world.dos_lead(), fresh()
    grant = world.granted("DOS", lead, max_uses=1)
    first = answered(world.release(lead, key=key), 201)
    assert answered(world.release(lead, key=key), 201) == first
    world.revoke("DOS", grant)
    assert codes(refused(world.release(lead, key=key), 403)) == {"permission_missing", "grant_revoked"}
    refused(world.analyst.get(f"/v1/releases/{first['id']}/package"), 403)
    # A new permission, and the same key gives the first release again.
    world.granted("DOS", lead)
    assert answered(world.release(lead, key=key), 201) == first


def test_a_refusal_is_not_remembered(world: World) -> None:
    lead, key = world.dos_lead(), fresh()
    refused(world.release(lead, key=key), 403)
    world.granted("DOS", lead)
    answered(world.release(lead, key=key), 201)


def test_the_key_of_another_caller_is_another_key(world: World) -> None:
    item, key = world.material["cbp-atsp"], fresh()
    mine = answered(world.release(item, "ICE-ERO", key=key), 201)
    colleague = world.as_("ICE-HSI", "analyst", sub="colleague")
    theirs = answered(world.release(item, "ICE-ERO", key=key, who=colleague), 201)
    assert mine["id"] != theirs["id"]
    # The same name in another agency is somebody else, who may not even know of the item.
    namesake = world.as_("ICE-ERO", "analyst", sub="ana.analyst")
    other = world.case(namesake)
    refused(world.release(item, "ICE-ERO", key=key, who=namesake, case_id=other), 404)
    # And a key for releases is none for searches.
    answered(world.submit(world.terms(world.case(), partners=["cbp-atsp"]), PROBE, key=key), 202)


def test_while_the_first_is_being_worked_on_the_second_is_409(world: World) -> None:
    """The first is held up by a lock on its grant, so that both are there at the same moment."""
    lead, key = world.dos_lead(), fresh()
    grant = world.granted("DOS", lead)
    wish, token = world.wish(lead), world.analyst.headers["authorization"]
    headers = {"Idempotency-Key": key, "Authorization": token}

    async def both() -> tuple[Any, Any]:
        with psycopg.connect(_owner_url(world)) as blocker:
            blocker.execute("SELECT 1 FROM permission_grant WHERE id = %s FOR UPDATE", [grant])
            async with httpx.AsyncClient(
                base_url=world.stack.url, headers=headers, trust_env=False, timeout=20
            ) as client:
                first = asyncio.create_task(client.post("/v1/releases", json=wish))
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
                while not blocker.execute(waiting).fetchone()[0]:
                    await asyncio.sleep(0.02)
                second = await client.post("/v1/releases", json=wish)
                blocker.rollback()
                return await first, second

    first, second = asyncio.run(both())
    assert "in-flight" in refused(second, 409)["type"]
    answered(first, 201)
    assert count(world, "release", "item_id", lead) == 1


def _owner_url(world: World) -> str:
    with world.stack.owner() as owner:
        return owner.info.dsn + f" password={owner.info.password}"


def test_ten_at_once_are_one(world: World) -> None:
    lead, key = world.dos_lead(), fresh()
    world.granted("DOS", lead)
    headers = {"Idempotency-Key": key, "Authorization": world.analyst.headers["authorization"]}

    async def ten() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=world.stack.url, headers=headers, trust_env=False, timeout=20) as client:
            return await asyncio.gather(*(client.post("/v1/releases", json=world.wish(lead)) for _ in range(10)))

    answers = asyncio.run(ten())
    assert {one.status_code for one in answers} <= {201, 409}
    assert len({one.json()["id"] for one in answers if one.status_code == 201}) == 1
    assert count(world, "release", "item_id", lead) == 1
