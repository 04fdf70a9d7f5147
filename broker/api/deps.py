"""What every guarded route depends on: the services, the caller, and whether the caller's role may do this at all."""

from collections.abc import Sequence
from typing import Annotated, Final, Protocol, TypeVar, cast

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator

from broker.api.auth import Caller
from broker.api.services import Services
from broker.kernel.errors import Forbidden, IdempotencyKeyMissing, Invalid
from broker.kernel.ids import is_opaque_id
from broker.kernel.words import Role
from broker.policy.question import GRANTING, Act, RoleQuestion
from broker.policy.snapshot import PolicySnapshot

_KEY_LENGTH: Final = 200


def services_of(request: Request) -> Services:
    """The services put on the application at its start."""
    return cast("Services", request.app.state.services)


async def services(request: Request) -> Services:
    """The same as a dependency."""
    return services_of(request)


ServicesDep = Annotated[Services, Depends(services)]


async def authenticate(request: Request, held: ServicesDep) -> Caller:
    """The caller, or 401. An agency that is not in the register may call nothing."""
    caller = await held.authenticator.caller(request.headers.get("authorization"))
    if caller.agency not in held.policies.current.bundle.agencies:
        raise Forbidden("your agency is not in the register")
    return caller


CallerDep = Annotated[Caller, Depends(authenticate)]


class Allowed:
    """A dependency that lets pass whoever has a role for this act; others get 403, and that is recorded."""

    def __init__(self, act: Act) -> None:
        self.act = act

    async def __call__(self, caller: CallerDep, held: ServicesDep) -> Caller:
        engine = held.policies.current.engine
        # Who keeps the service running speaks for no owner, not with a second role in the same token either.
        never = self.act in GRANTING and Role.ADMIN in caller.roles
        if not never and any(engine.ask_role(RoleQuestion(role=role, act=self.act)) for role in caller.roles):
            return caller
        await held.trail.refused(caller.actor, self.act.value, Forbidden.status)
        raise Forbidden(f"none of your roles may do this ({self.act.value})")


def policy_of(held: Services) -> PolicySnapshot:
    """The policy that this process has loaded; decisions take the one in force instead."""
    return held.policies.current


async def idempotency_key(
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=_KEY_LENGTH)] = None,
) -> str:
    """The header, or 400."""
    if not key:
        raise IdempotencyKeyMissing("send a fresh value for each act, and the same one to repeat it safely")
    if not key.isprintable():
        raise Invalid("Idempotency-Key holds characters that cannot be printed")
    return key


KeyDep = Annotated[str, Depends(idempotency_key)]


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Listed = TypeVar("_Listed", bound=_HasId)


class Page:
    """Which part of a list is asked for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        after: Annotated[str, Query(max_length=100, pattern=r"^[a-z0-9_]*$")] = "",
    ) -> None:
        self.limit = limit
        self.after = after

    @property
    def one_more(self) -> int:
        """How many to ask for, so that it is known whether any follow."""
        return self.limit + 1

    def cut(self, found: Sequence[_Listed]) -> tuple[Sequence[_Listed], str | None]:
        """The page, and the id that the next one follows, if there is a next one."""
        shown = found[: self.limit]
        return shown, shown[-1].id if len(found) > self.limit else None


def _opaque(text: str) -> str:
    if not is_opaque_id(text):
        raise ValueError("is not an id")
    return text


OpaqueId = Annotated[str, Path(), AfterValidator(_opaque)]
"""An id in a path. One of the wrong shape gets the same 404 as one that names nothing, and reaches no table."""
PageDep = Annotated[Page, Depends(Page)]
