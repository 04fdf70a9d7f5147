"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from broker.api import problems
from broker.api.ending import Ending
from broker.api.limits import BodyLimit
from broker.api.multipart import BODY_BYTES
from broker.api.openapi import describe
from broker.api.routes import (
    audit,
    callbacks,
    cases,
    grants,
    health,
    held,
    imports,
    items,
    leads,
    notifications,
    participants,
    permissions,
    recall,
    register,
    releases,
    searches,
    service,
    verifications,
)
from broker.api.traced import Traced
from broker.kernel.partner import MOST_REPLY_BYTES
from broker.settings import Settings
from broker.wiring.api import api_services


def create_app(settings: Settings) -> FastAPI:
    """The application on the settings' database; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with api_services(settings) as services:
            app.state.services = services
            app.state.ending.tell(services.watch.close)
            yield

    app = bare_app()
    app.router.lifespan_context = lifespan
    return app


def bare_app() -> FastAPI:
    """The routes without anything behind them: what the OpenAPI file is written from."""
    app = FastAPI(
        title="Interagency request broker",
        version="1.0.0",
        # The interactive pages load scripts from elsewhere; the file in openapi/ is the statement.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # FastAPI's own spans would carry paths and queries, which hold ids, and the texts of errors.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.ending = Ending()
    problems.install(app)
    modules = (
        cases,
        participants,
        searches,
        items,
        imports,
        verifications,
        leads,
        held,
        releases,
        permissions,
        grants,
        recall,
        register,
        audit,
    )
    for module in (*modules, notifications, service, callbacks, health):
        app.include_router(module.router)
    app.add_middleware(Traced)
    app.add_middleware(BodyLimit, with_probe=BODY_BYTES, callback=MOST_REPLY_BYTES)
    describe(app)
    return app
