"""What the caller sees when the database fails: 503 and nothing of its words, with nothing done."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from broker.api.dev_issuer import issue
from broker.app import create_app
from broker.kernel.words import Role
from broker.settings import Settings
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database


@asynccontextmanager
async def calling(database: Database, home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The real application in this process, and a client of an analyst."""
    settings = Settings(_env_file=None, home=home, database_url=database.app_url, policies=SHIPPED)
    app = create_app(settings)
    token = issue(
        home,
        sub="ana",
        agency="ICE-HSI",
        roles=[Role.ANALYST],
        training_valid_until=datetime.now(UTC).date() + timedelta(days=1),
        partners=[],
        audience=settings.audience,
        lifetime=timedelta(hours=1),
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://broker", headers=headers) as client:
            yield client


def test_without_its_record_a_call_is_503_and_nothing_is_done(fresh_postgres: Database) -> None:
    async def run(home: Path) -> None:
        async with calling(fresh_postgres, home) as client:
            body = {"reference": "r", "title": "t"}
            assert (await client.post("/v1/cases", json=body)).status_code == 201
            with fresh_postgres.owner() as owner:
                owner.execute("REVOKE INSERT ON audit_entry FROM broker_app")
                calls = [
                    await client.post("/v1/cases", json=body),
                    await client.get("/v1/items/itm_" + "a" * 26),
                    await client.get("/v1/audit/entries"),
                ]
                for response in calls:
                    assert response.status_code == 503, response.text
                    assert response.headers["content-type"] == "application/problem+json"
                    assert "audit_entry" not in response.text
                    assert "permission" not in response.text
                assert owner.execute("SELECT count(*) FROM case_file").fetchone() == (1,)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o700)
        asyncio.run(run(Path(folder)))


def test_a_database_that_is_gone_is_503_and_not_ready(fresh_postgres: Database) -> None:
    async def run(home: Path) -> None:
        async with calling(fresh_postgres, home) as client:
            assert (await client.get("/readyz")).status_code == 200
            with fresh_postgres.owner() as owner:
                owner.execute("REVOKE SELECT ON policy_in_force FROM broker_app")
            assert (await client.get("/readyz")).status_code == 503
            response = await client.get("/v1/items/itm_" + "a" * 26)
            assert response.status_code == 503, response.text

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
