"""The people of the story: invented, each with a development token and a client of the API."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Person:
    """Somebody of one agency with some roles."""

    sub: str
    agency: str
    roles: tuple[str, ...]
    client: httpx.Client = field(repr=False)

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET, whatever comes back."""
        return self.client.get(path, params=query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """POST JSON, whatever comes back."""
        return self.client.post(path, json=body, headers={"Idempotency-Key": key} if key else {})

    def submit(self, terms: dict[str, Any], probe: bytes, key: str | None = None) -> httpx.Response:
        """POST a search."""
        files = {
            "request": (None, json.dumps(terms), "application/json"),
            "probe": ("probe.jpg", probe, "image/jpeg"),
        }
        return self.client.post("/v1/searches", files=files, headers={"Idempotency-Key": key or str(uuid.uuid4())})


class Cast:
    """Makes people of one running broker; each is made once."""

    def __init__(self, url: str, home: Path, environment: dict[str, str] | None = None) -> None:
        self.url = url
        self.home = home
        self._environment = environment or {}
        self._people: dict[tuple[str, ...], Person] = {}

    def person(self, sub: str, agency: str, *roles: str, options: tuple[str, ...] = ()) -> Person:
        """The person of that name; *options* go to ``broker token``."""
        key = (sub, agency, *roles, *options)
        if key not in self._people:
            token = self.token(sub, agency, *roles, options=options)
            client = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=httpx.Timeout(90.0),
                trust_env=False,
            )
            self._people[key] = Person(sub, agency, roles, client)
        return self._people[key]

    def token(self, sub: str, agency: str, *roles: str, options: tuple[str, ...] = ()) -> str:
        """A development token, as anybody gets one: by the command."""
        arguments = ["token", "--sub", sub, "--agency", agency, *options]
        for role in roles:
            arguments += ["--role", role]
        return self.broker(*arguments).stdout.splitlines()[-1]

    def broker(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of the broker on the same home."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
        environment |= {"BROKER_HOME": str(self.home), **self._environment}
        return subprocess.run(
            [sys.executable, "-m", "broker", *arguments],
            check=check,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            timeout=120,
        )

    def close(self) -> None:
        """End every connection."""
        for person in self._people.values():
            person.client.close()
