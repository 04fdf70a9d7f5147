"""Auditors read everything but content, liaisons record permissions: neither gets the copy that a release made."""

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from broker.api.auth import Caller
from broker.app import bare_app
from broker.kernel.errors import NotFound
from broker.kernel.ids import new_id
from broker.kernel.words import Role
from tests.support.workplace import shipped_policies


class _Releases:
    async def package(self, *_: object) -> None:
        raise NotFound


class _Trail:
    async def refused(self, *_: object) -> None:
        return


class _Authenticator:
    def __init__(self, role: Role) -> None:
        self._role = role

    async def caller(self, _: str | None) -> Caller:
        return Caller(sub="somebody", agency="FBI", roles=(self._role,))


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.AUDITOR, 403),
        (Role.LIAISON, 403),
        (Role.ADMIN, 403),
        (Role.POLICY_AUTHOR, 403),
        (Role.REVIEWER, 403),
        (Role.ANALYST, 404),
        (Role.RELEASE_OFFICER, 404),
    ],
)
def test_the_copy_is_content_and_only_who_may_read_content_gets_it(role: Role, status: int) -> None:
    app = bare_app()
    app.state.services = SimpleNamespace(
        authenticator=_Authenticator(role), policies=shipped_policies(), trail=_Trail(), releases=_Releases()
    )

    async def asked() -> int:
        # Who calls is given above; a token of any kind has to be there to be looked at.
        anybody = {"Authorization": "Bearer not-looked-at"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://broker", headers=anybody
        ) as client:
            return (await client.get(f"/v1/releases/{new_id('rel')}/package")).status_code

    assert asyncio.run(asked()) == status
