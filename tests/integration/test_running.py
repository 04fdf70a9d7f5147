"""``broker up``: everything starts, what dies comes back, and nothing stays behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from broker.storage.embedded.place import find_place
from tests.support.postgres import OUTSIDE
from tests.support.programs import ROOT, environment, eventually, processes_in, reachable_folder
from tests.support.stack import Stack, running_stack, runs

pytestmark = pytest.mark.processes
# Where it is about how everything starts and ends, one stand-in is as good as five.
ELSEWHERE = dict.fromkeys(("dos-ccd", "state-dmv", "vendor-lpr", "contractor-checkin"), "http://127.0.0.1:9")


def is_ready(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def broker(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "broker", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_once_ready_it_says_where_everything_is(stack: Stack) -> None:
    assert is_ready(stack)
    assert set(stack.partners) == {"cbp-atsp", "contractor-checkin", "dos-ccd", "state-dmv", "vendor-lpr"}
    for url in stack.partners.values():
        assert httpx.get(url, timeout=5, trust_env=False).status_code < 500
    assert stack.processes("worker")


def test_a_token_of_the_command_is_accepted_and_stands_alone_on_the_last_line(stack: Stack) -> None:
    said = broker("token", "--sub", "ana", "--agency", "ICE-HSI", "--role", "analyst", BROKER_HOME=str(stack.home))
    assert said.returncode == 0, said.stderr
    token = said.stdout.splitlines()[-1]
    assert stack.caller(token).get("/v1/cases").status_code == 200
    assert stack.caller(token + "x").get("/v1/cases").status_code == 401
    assert stack.caller().get("/v1/cases").status_code == 401


def test_secrets_shared_with_partners_are_private_and_differ(stack: Stack) -> None:
    keys = [stack.home / "keys" / f"partner-{name}.key" for name in stack.partners]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == len(keys)


def test_a_second_one_on_the_same_home_is_refused(stack: Stack) -> None:
    said = broker("up", BROKER_HOME=str(stack.home), BROKER_PORT="0")
    assert said.returncode == 2
    assert "running already" in said.stderr
    assert is_ready(stack)


def test_what_is_killed_comes_back_at_the_same_address(stack: Stack) -> None:
    url = stack.url
    for command in ("worker", "api", "partner-standin dos-ccd"):
        before = stack.kill_process(command)
        stack.wait_for(command, not_in=before)
        assert eventually(lambda: is_ready(stack))
    assert stack.url == url
    assert "was ended by SIGKILL; it is started again" in stack.said()


@pytest.mark.skipif(OUTSIDE is not None, reason="this is about the embedded database")
def test_a_killed_database_server_comes_back_with_what_was_accepted(stack: Stack) -> None:
    client = stack.client("ana", "ICE-HSI", ["analyst"])
    case = client.post("/v1/cases", json={"reference": "kill-the-database", "title": "A case that was accepted"})
    assert case.status_code == 201, case.text
    place = find_place(stack.home)
    assert place is not None
    os.kill(int((place.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert eventually(lambda: is_ready(stack))
    assert eventually(lambda: client.get(f"/v1/cases/{case.json()['id']}").status_code == 200)


def test_the_end_takes_everything_along() -> None:
    with running_stack(BROKER_PARTNER_URLS=json.dumps(ELSEWHERE)) as stack:
        place = find_place(stack.home)
        home = stack.home
        stack.stop()  # It looks for processes left behind.
        assert not (home / "serve.json").exists()
        assert place is None or processes_in(place.data) == []
        # And once more on the same home, to an end that it cannot see coming.
        stack.start()
        assert is_ready(stack)
        numbers = [number for number, _, _ in stack.family()]
        stack.kill()
        if sys.platform.startswith("linux"):  # The kernel's parent-death signal is Linux's.
            assert eventually(lambda: not any(map(runs, numbers)), 40)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal is Linux's")
def test_after_a_kill_of_its_first_child_nothing_stays_behind() -> None:
    with running_stack(BROKER_PARTNER_URLS=json.dumps(ELSEWHERE)) as stack:
        numbers = [number for number, _, _ in stack.family()]
        stack.kill_process("serve")
        stack.wait_for("api")
        stack.stop()
        assert eventually(lambda: not any(map(runs, numbers)), 40)


def test_a_partner_that_has_an_address_gets_no_stand_in_and_ctrl_c_ends_it_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        with running_stack(BROKER_PARTNER_URLS=json.dumps({**ELSEWHERE, "dos-ccd": url})) as stack:
            assert stack.partners["dos-ccd"] == url
            assert not stack.processes("partner-standin dos-ccd")
            assert stack.processes("partner-standin cbp-atsp")
            assert stack.process is not None
            stack.process.send_signal(signal.SIGINT)
            assert stack.process.wait(60) == 0
            stack.process = None


def test_a_port_in_use_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, reachable_folder() as folder:
        port = str(taken.getsockname()[1])
        for command in ("up", "serve"):
            said = broker(command, BROKER_HOME=str(folder / "home"), BROKER_PORT=port)
            assert said.returncode == 2
            assert said.stderr.splitlines() == [
                f"broker: port {port} on 127.0.0.1 is in use; set BROKER_PORT (0 takes any free one)"
            ]


def test_policies_that_cannot_be_used_refuse_the_start_in_one_line() -> None:
    with reachable_folder() as folder:
        (folder / "policies").mkdir()
        said = broker(
            "serve", BROKER_HOME=str(folder / "home"), BROKER_PORT="0", BROKER_POLICIES=str(folder / "policies")
        )
        assert said.returncode == 2
        assert len(said.stderr.splitlines()) == 1
        assert "broker policy check shows all faults" in said.stderr


def test_a_suite_that_fails_refuses_the_start_without_a_traceback() -> None:
    with reachable_folder() as folder:
        shutil.copytree(ROOT / "policies", folder / "policies")
        suite = folder / "policies" / "tests" / "cbp_test.yaml"
        suite.write_text(suite.read_text().replace("expect: allow", "expect: deny", 1))
        said = broker(
            "serve", BROKER_HOME=str(folder / "home"), BROKER_PORT="0", BROKER_POLICIES=str(folder / "policies")
        )
        assert said.returncode == 2
        assert "Traceback" not in said.stderr
        assert "everything ends" in said.stderr


@pytest.mark.parametrize("command", ["serve", "worker", "up"])
@pytest.mark.parametrize(
    ("urls", "reason"),
    [
        (
            '{"dos-cdc": "https://partner.example"}',
            "BROKER_PARTNER_URLS names 'dos-cdc', which is not in partners.yaml",
        ),
        ('{"dos-ccd": "http://169.254.169.254/"}', "BROKER_PARTNER_URLS[dos-ccd]: must be an https:// URL"),
    ],
)
def test_a_partner_s_address_that_will_not_do_is_told_in_one_line_before_anything_starts(
    tmp_path: Path, command: str, urls: str, reason: str
) -> None:
    home = tmp_path / "home"
    said = broker(command, BROKER_HOME=str(home), BROKER_PORT="0", BROKER_PARTNER_URLS=urls)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1), said.stderr
    assert said.stderr.startswith(f"broker: {reason}")
    assert not home.exists()


def test_an_unknown_setting_stops_every_command() -> None:
    for command in (["serve"], ["worker"], ["up"], ["migrate"], ["token", "--sub=a", "--agency=DOS", "--role=analyst"]):
        said = broker(*command, BROKER_POLICY="somewhere")
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr == "broker: BROKER_POLICY is not a setting; did you mean BROKER_POLICIES?\n"


def test_no_development_token_where_tokens_come_from_an_issuer() -> None:
    said = broker(
        *("token", "--sub", "ana", "--agency", "ICE-HSI", "--role", "analyst"),
        BROKER_ISSUER="https://issuer.agency.internal",
        BROKER_JWKS_URL="https://issuer.agency.internal/keys",
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert "BROKER_ISSUER is set" in said.stderr


def test_a_token_for_names_that_are_not_known_here_is_made_and_said_so(tmp_path: Path) -> None:
    given = ("token", "--sub=a", "--role=analyst", "--agency=NSA", "--partner=dos-ccd", "--partner=dos")
    said = broker(*given, BROKER_HOME=str(tmp_path / "home"))
    assert (said.returncode, said.stdout.count("\n")) == (0, 1)
    agency, partner = said.stderr.splitlines()
    assert agency.startswith("broker: no agency here is called 'NSA'; known: DHS, ")
    assert partner.startswith("broker: no partner here is called 'dos'; known: cbp-atsp, dos-ccd, ")
    said = broker(*given[:3], "--agency=DOS", BROKER_HOME=str(tmp_path / "home"))
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    ["sample-probes {file}/x", "sample-probes {file}", "openapi {file}/x.yaml", "oversight searches", "serve", "up", "worker",
     "token --sub=a --agency=DOS --role=analyst", "partner-standin dos-ccd"],
)  # fmt: skip
def test_a_path_that_will_not_do_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    file = tmp_path / "file"
    file.touch()
    arguments = [word.format(file=file) for word in command.split()]
    said = broker(*arguments, BROKER_HOME=str(file / "home"), BROKER_PORT="0")
    assert (said.returncode, said.stdout) == (2, ""), said.stderr
    assert said.stderr.splitlines()[-1].startswith(f"broker: {file}")
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("oversight searches --since yesterday", "--since is a day"),
        ("oversight searches --until 2026-13-01", "--until is a day"),
        ("oversight serches", "no report is called that; there are"),
    ],
)
def test_a_report_that_there_is_not_is_told_before_a_database_is_started(
    tmp_path: Path, command: str, reason: str
) -> None:
    said = broker(*command.split(), BROKER_HOME=str(tmp_path / "home"))
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1), said.stderr
    assert reason in said.stderr
    assert not (tmp_path / "home").exists()


def test_commands_answer_on_stdout_and_log_to_stderr(tmp_path: Path) -> None:
    said = broker("sample-probes", str(tmp_path / "probes of mine"))
    assert said.returncode == 0, said.stderr
    written = sorted(path.name for path in (tmp_path / "probes of mine").iterdir())
    assert any(name.startswith("hit-") for name in written)
    assert any(name.startswith("stranger-") for name in written)
    assert len(said.stdout.splitlines()) == len(written)
