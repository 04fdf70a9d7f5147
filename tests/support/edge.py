"""The whole application in this process, on a real database: its own wiring, its own edge, and a worker's parts beside it.

No partner is asked. A test ends a leg itself with what a partner would have answered, which is where the worker's part
begins; everything from there to the caller's bytes is the product's.
"""

import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from broker.api.dev_issuer import issue
from broker.app import create_app
from broker.kernel.ids import PartnerId, TransactionId
from broker.kernel.words import Role
from broker.partners.contract import Answered, NoHit
from broker.processes.model import ProcessKind
from broker.search.run import WORKER
from broker.settings import Settings
from broker.storage.keys import load_or_create
from broker.storage.sealing import make_key
from broker.wiring.parts import Parts, parts
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database

_AUDIENCE = "interagency-request-broker"
_YEAR = timedelta(days=365)


@dataclass
class Edge:
    """A caller's view of the application, and the worker's parts."""

    settings: Settings
    client: httpx.AsyncClient
    worker: Parts
    app: Any
    _tokens: dict[Any, str] = field(default_factory=dict)

    def token(self, agency: str, *roles: str, sub: str | None = None, enrolled: Sequence[str] | None = None) -> str:
        """A token of somebody trained and enrolled, where nothing else is said everywhere."""
        everywhere = [entry.id for entry in self.worker.policies.current.bundle.partners]
        partners = everywhere if enrolled is None else list(enrolled)
        key = (agency, sub or f"{'-'.join(roles)}.{agency}".lower(), roles, *partners)
        if key not in self._tokens:
            self._tokens[key] = issue(
                self.settings.home,
                sub=key[1],
                agency=agency,
                roles=[Role(role) for role in roles],
                training_valid_until=date(2099, 12, 31),
                partners=partners,
                audience=_AUDIENCE,
                lifetime=_YEAR,
            )
        return self._tokens[key]

    async def call(self, token: str, method: str, path: str, *, key: str | None = None, **how: Any) -> httpx.Response:
        """One call of the API."""
        headers = {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.client.request(method, path, headers=headers, **how)

    async def made(self, token: str, path: str, body: Any, *, status: int = 201) -> Any:
        """A POST that has to give this status; its JSON."""
        response = await self.call(token, "POST", path, json=body, key=secrets.token_hex(8))
        assert response.status_code == status, f"{path}: {response.status_code} {response.text[:1000]}"
        return response.json()

    async def search(self, token: str, terms: dict[str, Any], probe: bytes, *, key: str | None = None) -> Any:
        """An accepted search."""
        files = {"request": (None, json.dumps(terms), "application/json"), "probe": ("p.jpg", probe, "image/jpeg")}
        response = await self.call(token, "POST", "/v1/searches", files=files, key=key or secrets.token_hex(8))
        assert response.status_code == 202, response.text[:1000]
        return response.json()

    async def answer(self, search: str, partner: str, outcome: Answered | NoHit) -> str | None:
        """End one leg of a search with a partner's answer; the id of the candidate list."""
        async with self.worker.work.begin() as tx:
            found = await self.worker.searches.read(tx, search)
        assert found is not None
        leg = next(one for one in found.legs if one.partner == partner)
        entry = next(one for one in self.worker.policies.current.bundle.partners if one.id == PartnerId(partner))
        await self.worker.settling.settle(WORKER, TransactionId(leg.transaction_id), entry, outcome)
        async with self.worker.work.begin() as tx:
            settled = await self.worker.searches.read(tx, search)
        assert settled is not None
        return next(one.item_id for one in settled.legs if one.partner == partner)


def search_terms(case: str, partners: Sequence[str], **changes: Any) -> dict[str, Any]:
    """A search that is in order."""
    return {
        "case_id": case,
        "predicate": "investigation",
        "purpose": "criminal_investigation",
        "legal_basis": "18 USC 1546 (invented case)",
        "evidentiary_basis": "reasonable_suspicion",
        "basis_text": "See the case file.",
        "prior_methods": ["name search"],
        "exigent": False,
        "probe": {
            "kind": "photo",
            "acquisition": "handed in by a witness",
            "acquired_at": (datetime.now(UTC) - timedelta(days=30)).isoformat(),
            "lawful_acquisition_attested": True,
            "edits": [],
        },
        "partners": list(partners),
        "max_candidates": 20,
        "deadline_seconds": 300,
        **changes,
    }


_SEALING: Final = make_key()
"""Tests share a database, which is sealed with one key."""


@asynccontextmanager
async def edge(database: Database, home: Path, policies: Path = SHIPPED) -> AsyncIterator[Edge]:
    """The application on *database*, started as its server would start it, on one more host with the same keys."""
    load_or_create(home / "keys" / "sealing.key", lambda: _SEALING)
    settings = Settings(_env_file=None, home=home, database_url=database.app_url, policies=policies)
    app = create_app(settings)
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(app.router.lifespan_context(app))
        worker = await opened.enter_async_context(parts(settings, ProcessKind.WORKER))
        client = await opened.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://broker.invalid")
        )
        yield Edge(settings=settings, client=client, worker=worker, app=app)
