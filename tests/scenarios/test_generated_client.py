"""The API's own statement is enough to write a client from: one is generated, and runs a short story."""

import importlib
import io
import json
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.scenarios.world import HIT, World, fresh
from tests.support.programs import ROOT, environment

PACKAGE = "a_generated_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yaml"
    settings.write_text(
        json.dumps({"package_name_override": PACKAGE, "project_name_override": PACKAGE, "post_hooks": []})
    )
    command = [str(Path(sys.executable).with_name("openapi-python-client")), "generate"]
    command += ["--path", str(ROOT / "openapi" / "broker.yaml"), "--config", str(settings)]
    done = subprocess.run(
        [*command, "--meta", "none", "--output-path", str(folder / PACKAGE)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(PYTHONWARNINGS="ignore"),
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A warning means that a part of the API could not be understood and was left out.
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def operation(path: str) -> ModuleType:
    """The module of one operation; the generator names it after the operation's whole id."""
    tag, _, name = path.partition(".")
    package = importlib.import_module(f"{PACKAGE}.api.{tag}")
    found = [module.name for module in pkgutil.iter_modules(package.__path__) if module.name.startswith(f"{name}_v1_")]
    assert len(found) == 1, found
    return importlib.import_module(f"{PACKAGE}.api.{tag}.{found[0]}")


def model(name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.models"), name)


def test_a_client_made_from_the_statement_runs_a_short_story(world: World, generated: ModuleType) -> None:
    token = world.analyst.headers["authorization"].removeprefix("Bearer ")
    with generated.AuthenticatedClient(
        base_url=world.stack.url, token=token, httpx_args={"trust_env": False}
    ) as client:
        opened = operation("cases.open_case").sync(
            client=client, body=model("NewCase")(reference="HSI-generated", title="A case by a generated client")
        )
        assert opened.status.value == "open"
        body = model("SearchBody").from_dict(world.terms(opened.id, partners=["cbp-atsp"]))
        file = importlib.import_module(f"{PACKAGE}.types").File(
            payload=io.BytesIO(HIT), file_name="probe.jpg", mime_type="image/jpeg"
        )
        multipart = model("SubmitSearchV1SearchesPostBody")(request=body, probe=file)
        accepted = operation("searches.submit_search").sync(client=client, body=multipart, idempotency_key=fresh())
        assert [leg.partner for leg in accepted.legs] == ["cbp-atsp"]
        done = operation("searches.read_search_status").sync(accepted.id, client=client, wait=20)
        assert done.status.value == "complete"
        item = operation("items.read_item").sync(done.legs[0].item, client=client)
        assert item.owners == ["CBP"]
        wish = model("NewRelease").from_dict(world.wish(item.id, "ICE-ERO", case_id=opened.id))
        released = operation("releases.make_release").sync(client=client, body=wish, idempotency_key=fresh())
        assert (released.item, released.disclosure.recipient.agency) == (item.id, "ICE-ERO")
        wish = model("NewRelease").from_dict(world.wish(item.id, "FBI", case_id=opened.id))
        refused = operation("releases.make_release").sync_detailed(client=client, body=wish, idempotency_key=fresh())
        assert refused.status_code == 403
        assert [one.owner for one in refused.parsed.missing] == ["CBP"]
