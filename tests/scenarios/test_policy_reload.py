"""A bad policy is not taken and is told; a good one changes what decides; without one the service does not start."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.world import World, answered, codes, refused
from tests.support.policy_files import SHIPPED
from tests.support.programs import ROOT, environment, eventually, reachable_folder
from tests.support.stack import running_stack

NAMING = ("partners.yaml", "searches.csv", "tests/searches_test.yaml")
"""What names a partner."""
pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("reload")]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with reachable_folder() as place:
        copied = place / "policies"
        shutil.copytree(SHIPPED, copied)
        yield copied


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[World]:
    with running_stack(BROKER_POLICIES=str(folder)) as stack:
        yield World(stack)


def current(world: World) -> dict[str, object]:
    return dict(answered(world.as_("DHS", "policy_author").get("/v1/policies/current"), 200))


def test_a_bad_file_keeps_the_last_good_policy_and_is_told_and_recorded(own: World, folder: Path) -> None:
    before, file = current(own), folder / "owners" / "DOS.csv"
    assert before["last_error"] is None
    good = file.read_bytes()
    lead = own.dos_lead()
    try:
        file.write_bytes(good + b"p, DOS, any, release, any, any, nothing, Deny\n")
        assert eventually(lambda: current(own)["last_error"] is not None)
        now = current(own)
        assert now["digest"] == now["in_force"] == before["digest"]
        assert any("owners/DOS.csv" in fault for fault in now["last_error"]["faults"])  # type: ignore[index]
        # Nothing is freed, and nothing stands still.
        assert codes(refused(own.release(lead), 403)) == {"permission_missing"}
        own.granted("DOS", lead)
        answered(own.release(lead), 201)
        entries = own.auditor.get("/v1/audit/entries", params={"tag": "policy:bundle:refused"}).json()["items"]
        assert [entry["detail"]["in_force"] for entry in entries] == [before["digest"]]
    finally:
        file.write_bytes(good)
    assert eventually(lambda: current(own)["last_error"] is None)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"p, DOS\n", b"p, dos, any, release, any, any, nothing, allow\n"]
)
def test_no_bad_file_leaves_an_empty_policy_behind(own: World, folder: Path, content: bytes) -> None:
    before, file = current(own), folder / "owners" / "DOS.csv"
    good = file.read_bytes()
    lead = own.dos_lead()
    try:
        file.write_bytes(content)
        assert eventually(lambda: current(own)["last_error"] is not None)
        assert current(own)["in_force"] == before["in_force"]
        assert codes(refused(own.release(lead), 403)) == {"permission_missing"}
        assert answered(own.analyst.get(f"/v1/items/{lead}"), 200)["owners"] == ["DOS"]
    finally:
        file.write_bytes(good)
    assert eventually(lambda: current(own)["last_error"] is None)


def test_a_good_file_changes_the_policy_in_force_and_what_is_decided(own: World, folder: Path) -> None:
    before, file = current(own), folder / "owners" / "CBP.csv"
    good = file.read_bytes()
    listed = own.material["cbp-atsp"]
    first = answered(own.release(listed, "ICE-ERO"), 201)["id"]
    narrower = b"p, CBP, within:DHS, release, under:criminal_investigation, any, nothing, allow"
    assert narrower in good
    suite = folder / "tests" / "cbp_test.yaml"
    expected = suite.read_bytes()
    try:
        # The narrower row and what its authors now expect of it: without the second, the first would not be taken.
        suite.write_bytes(narrower_suite(expected))
        file.write_bytes(good.replace(narrower, narrower.replace(b", nothing,", b", permission,")))
        moved = eventually(
            lambda: current(own)["in_force"] != before["in_force"] or current(own)["last_error"] is not None
        )
        assert moved
        # What is in force is followed a moment later.
        assert eventually(lambda: current(own)["digest"] == current(own)["in_force"])
        now = current(own)
        if now["last_error"] is not None:
            pytest.fail(f"the narrower policy was not taken: {now['last_error']}")
        assert now["digest"] == now["in_force"]
        problem = refused(own.release(listed, "ICE-ERO"), 403)
        assert (codes(problem), problem["policy_digest"]) == ({"permission_missing"}, now["in_force"])
        # What was released before is decided under the policy of today.
        refused(own.analyst.get(f"/v1/releases/{first}/package"), 403)
        tags = {"tag": "policy:bundle:activated"}
        entries = own.auditor.get("/v1/audit/entries", params=tags).json()["items"]
        assert entries[0]["detail"] == {"digest": now["in_force"], "replaces": before["in_force"]}
    finally:
        file.write_bytes(good)
        suite.write_bytes(expected)
    assert eventually(lambda: current(own)["in_force"] == before["in_force"])
    answered(own.release(listed, "ICE-ERO"), 201)


def narrower_suite(text: bytes) -> bytes:
    """CBP's expectations when its permission is needed within the department, too."""
    within = b"""      - {recipients: [DHS, ICE, ICE-HSI, ICE-ERO], actions: [release],
         purposes: [criminal_investigation, threat_to_life], answer: allow}"""
    assert within in text
    return text.replace(within, within.replace(b"answer: allow", b"answer: needs_permission"))


def test_a_partner_that_nobody_here_can_serve_keeps_the_last_good_policy(own: World, folder: Path) -> None:
    before, register = current(own), folder / "partners.yaml"
    good = register.read_bytes()
    try:
        register.write_bytes(good.replace(b"adapter: vendor\n", b"adapter: vendro\n"))
        assert eventually(lambda: current(own)["last_error"] is not None)
        now = current(own)
        assert now["digest"] == now["in_force"] == before["digest"]
        (fault,) = now["last_error"]["faults"]  # type: ignore[index]
        assert re.match(r"partners\.yaml:[0-9]+: 'vendor-lpr': no installed package has the adapter 'vendro'", fault)
        assert own.searched(own.terms(own.case()))["status"] == "complete"
    finally:
        register.write_bytes(good)
    assert eventually(lambda: current(own)["last_error"] is None)


def test_a_partner_is_taken_out_although_its_address_is_still_set(own: World, folder: Path) -> None:
    # `make serve` sets the address of each stand-in, once and for all that it starts.
    before, good = current(own), {path: path.read_bytes() for path in map(folder.joinpath, NAMING)}
    try:
        register, searches, suite = good
        head, _, rest = good[register].partition(b"- id: vendor-lpr\n")
        searches.write_bytes(without_lines(good[searches], b"vendor-lpr"))
        suite.write_bytes(without_cases(good[suite], b"vendor-lpr"))
        register.write_bytes(head + rest.partition(b"\n\n")[2])
        moved = eventually(lambda: current(own)["in_force"] != before["in_force"])
        assert moved, current(own)["last_error"]
        # A worker that follows, and one that is started now.
        assert own.searched(own.terms(own.case()))["status"] == "complete"
        old = own.stack.kill_process("worker")
        own.stack.wait_for("worker", not_in=old)
        assert own.searched(own.terms(own.case()))["status"] == "complete"
        assert "vendor-lpr" not in {one["id"] for one in answered(own.analyst.get("/v1/partners"), 200)["items"]}
    finally:
        for path, content in good.items():
            path.write_bytes(content)
    assert eventually(lambda: current(own)["in_force"] == before["in_force"])


def without_lines(text: bytes, word: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if word not in line)


def without_cases(text: bytes, word: bytes) -> bytes:
    start, *cases = text.split(b"  - name: ")
    return b"  - name: ".join([start, *(case for case in cases if word not in case)])


@pytest.mark.parametrize("name", ["owners/DOS.csv", "agencies.yaml", "access.csv", "model.conf"])
def test_a_cold_start_with_a_bad_file_refuses_to_serve(name: str) -> None:
    with reachable_folder() as place:
        shutil.copytree(SHIPPED, place / "policies")
        (place / "policies" / name).write_bytes(b"not, what, it, should, be\n")
        done = subprocess.run(
            [sys.executable, "-m", "broker", "serve"],
            cwd=ROOT,
            env=environment(BROKER_HOME=str(place / "home"), BROKER_PORT="0", BROKER_POLICIES=str(place / "policies")),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode not in (0, None)
    assert name in done.stderr
    assert "Traceback" not in done.stderr
