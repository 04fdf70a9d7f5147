"""The register of processes, the service's metrics and who may see them. The application runs in this process."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from adapters.faces.samples import hit_probe
from broker.kernel.ids import PartnerId
from broker.kernel.wire import Health
from broker.partners.calls import CallCounts
from broker.partners.contract import Answered, NoHit, ReportedCandidate
from broker.processes.model import ProcessKind
from broker.processes.register import Presence, ProcessRegister
from broker.processes.worker_check import found_wanting
from broker.storage.database import engine_for
from broker.storage.unit_of_work import UnitOfWork
from tests.support.edge import edge, search_terms
from tests.support.postgres import Database

HIT = ReportedCandidate(reference="R-1", rank=1, score=0.9)


def with_work(database: Database, test: Callable[[UnitOfWork], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        engine = engine_for(database.app_url)
        try:
            await test(UnitOfWork(engine))
        finally:
            await engine.dispose()

    asyncio.run(run())


def test_a_process_is_on_record_from_its_first_word_to_its_end(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        digest = ["sha256:one"]
        register = ProcessRegister(work)
        worker = Presence(work, ProcessKind.WORKER, lambda: (digest[0], None), dict)
        assert await register.all() == ()
        await worker.report()
        (first,) = await register.all()
        assert (first.kind, first.digest, first.folder_digest, first.fresh) == ("worker", "sha256:one", None, True)
        await worker.report()
        (again,) = await register.all()
        assert again.seen_at > first.seen_at
        assert (again.started_at, again.digest_since) == (first.started_at, first.digest_since)
        digest[0] = "sha256:two"
        await worker.report()
        (changed,) = await register.all()
        assert changed.digest == "sha256:two"
        assert changed.digest_since > first.digest_since
        await worker.leave()
        assert await register.all() == ()

    with_work(fresh_postgres, test)


def test_who_falls_silent_is_not_running_and_is_swept_away_later(fresh_postgres: Database) -> None:
    async def test(work: UnitOfWork) -> None:
        register = ProcessRegister(work)
        await Presence(work, ProcessKind.WORKER, lambda: ("sha256:one", None), dict).report()
        assert await found_wanting(fresh_postgres.app_url) == ""
        with fresh_postgres.owner() as owner:
            owner.execute("UPDATE process SET seen_at = seen_at - interval '1 minute'")
        assert [one.fresh for one in await register.all()] == [False]
        assert "lately" in await found_wanting(fresh_postgres.app_url)
        await register.sweep()
        assert len(await register.all()) == 1
        with fresh_postgres.owner() as owner:
            owner.execute("UPDATE process SET seen_at = seen_at - interval '1 hour'")
        await register.sweep()
        assert await register.all() == ()
        assert "on record" in await found_wanting(fresh_postgres.app_url)

    with_work(fresh_postgres, test)


def test_a_database_that_is_not_there_is_wanting(fresh_postgres: Database) -> None:
    nowhere = "postgresql://broker_app:x@127.0.0.1:1/none"
    assert "does not answer" in asyncio.run(found_wanting(nowhere))
    del fresh_postgres


def traffic() -> CallCounts:
    """Calls of a worker."""
    counts = CallCounts()
    note = counts.of(PartnerId("dos-ccd"))
    for seconds in (0.01, 0.07, 40.0):
        note(Health.SOUND, seconds)
    note(Health.FAULTY, 10.0)
    note(None, 2.0)
    return counts


def test_metrics_of_partners_are_told_to_those_who_run_the_service_only(
    fresh_postgres: Database, tmp_path: Path
) -> None:
    async def test() -> None:
        async with edge(fresh_postgres, tmp_path) as at:
            analyst = at.token("ICE-HSI", "analyst")
            admin = at.token("DHS", "admin")
            open_before = (await at.client.get("/metrics")).text
            presence = Presence(at.worker.work, ProcessKind.WORKER, lambda: ("sha256:x", None), traffic().told)
            await presence.report()
            for token, status in ((analyst, 403), (admin, 200)):
                assert (await at.call(token, "GET", "/v1/service/metrics")).status_code == status
                assert (await at.call(token, "GET", "/v1/service/processes")).status_code == status
            assert (await at.client.get("/v1/service/metrics")).status_code == 401
            said = (await at.call(admin, "GET", "/v1/service/metrics")).text
            waiting = next(one for one in said.splitlines() if one.startswith("broker_audit_unsequenced_seconds "))
            assert float(waiting.split()[1]) > 0  # No worker sequences this log.
            lines = [line for line in said.splitlines() if 'partner="dos-ccd"' in line]
            for series, value in (
                ('calls_total{health="sound"', "3.0"),
                ('calls_total{health="abandoned"', "1.0"),
                ('call_seconds_bucket{le="0.1"', "2.0"),
                ("call_seconds_count{", "5.0"),
            ):
                name, _, label = series.partition("{")
                assert any(name in one and label in one and one.endswith(f" {value}") for one in lines), (series, lines)
            shown = (await at.call(admin, "GET", "/v1/service/processes")).json()
            assert {one["kind"] for one in shown["items"]} == {"api", "worker"}
            (own,) = (one for one in shown["items"] if one["kind"] == "api")
            assert own["digest"] == own["folder_digest"] == shown["in_force"]
            # Nobody else learns anything: what is open to all names the same series as before.
            open_after = (await at.client.get("/metrics")).text
            assert names(open_before) == names(open_after)
            assert "partner" not in open_after
            assert "broker_" not in open_after

    asyncio.run(test())


def names(exposition: str) -> set[str]:
    """The series, without their values."""
    return {line.rpartition(" ")[0] for line in exposition.splitlines() if not line.startswith("#")}


def test_anonymous_metrics_do_not_depend_on_what_partners_answer(fresh_postgres: Database, tmp_path: Path) -> None:
    async def test() -> None:
        async with edge(fresh_postgres, tmp_path) as at:
            token = at.token("ICE-HSI", "analyst")
            case = (await at.made(token, "/v1/cases", {"reference": "HSI-M", "title": "t"}))["id"]
            seen = []
            for outcome in (Answered(candidates=(HIT,)), NoHit()):
                search = await at.search(token, search_terms(case, ["dos-ccd"]), hit_probe(0))
                await at.answer(search["id"], "dos-ccd", outcome)
                note = at.worker.dispatcher._counts.of(PartnerId("dos-ccd"))
                note(Health.SOUND, 0.1)
                await at.worker.presence.report()
                seen.append(names((await at.client.get("/metrics")).text))
            assert seen[0] == seen[1]
            assert not any("dos" in name for name in seen[0])

    asyncio.run(test())


@pytest.mark.parametrize("path", ["/v1/service/processes", "/v1/service/metrics"])
def test_nobody_without_a_token_is_told_of_the_service(fresh_postgres: Database, tmp_path: Path, path: str) -> None:
    async def test() -> None:
        async with edge(fresh_postgres, tmp_path) as at:
            assert (await at.client.get(path)).status_code == 401

    asyncio.run(test())
