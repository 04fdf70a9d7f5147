"""What cannot be undercut: FastAPI saying hello, and one durable insert over FastAPI, under the broker's own server
settings. Run as ``python -m tests.bench.floors``; the database is read from the environment.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from psycopg_pool import AsyncConnectionPool

from broker.cli.listening import answer, listen, url_of
from broker.search.probe import draw_anew

DATABASE = "BENCH_FLOOR_DATABASE_URL"
TABLE = "CREATE TABLE IF NOT EXISTS bench_floor (id text PRIMARY KEY, size integer NOT NULL)"
_INSERT = "INSERT INTO bench_floor (id, size) VALUES (%s, %s)"


def build(url: str) -> FastAPI:
    """The three floors."""
    pool = AsyncConnectionPool(url, min_size=4, max_size=20, open=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.post("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.post("/insert", status_code=202)
    async def insert(request: Request) -> dict[str, str]:
        body = await request.body()
        return await _insert(len(body))

    @app.post("/redraw-insert", status_code=202)
    async def redraw_and_insert(request: Request) -> dict[str, str]:
        drawn = await asyncio.to_thread(draw_anew, await request.body())
        return await _insert(len(drawn.jpeg))

    async def _insert(size: int) -> dict[str, str]:
        made = uuid.uuid4().hex
        async with pool.connection() as connection:
            await connection.execute(_INSERT, (made, size))
        return {"id": made}

    return app


if __name__ == "__main__":
    with listen("127.0.0.1", 0) as sock:
        print(f"floors listen on {url_of(sock)}", flush=True)
        answer(build(os.environ[DATABASE]), sock)
