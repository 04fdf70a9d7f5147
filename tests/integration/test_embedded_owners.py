"""One process owns the server; the others attach. Whoever is killed, the next one comes up and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from broker.storage.embedded import EmbeddedPostgres, attach, connected, remove_home
from broker.storage.embedded.place import Place, find_place
from tests.support.programs import eventually, finish, processes_in, reachable_folder, running, start

OWNER = """
import sys, time
from pathlib import Path
from broker.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
endpoint = server.start()
print("owns" if server.owned else "attached", server._process.pid if server.owned else 0, endpoint.app_url)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder / "home"
        remove_home(folder / "home")


def place_of(home: Path) -> Place:
    place = find_place(home)
    assert place is not None
    return place


def count(home: Path) -> object:
    with connected(home) as endpoint, psycopg.connect(endpoint.owner_url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    return row[0] if row else None


def keep_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (i int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def test_of_many_that_start_at_once_one_owns_and_all_can_work(home: Path) -> None:
    programs = [start(OWNER, home, stdin=subprocess.PIPE) for _ in range(5)]
    said = [program.stdout.readline().split() for program in programs]
    assert sorted(words[0] for words in said) == ["attached"] * 4 + ["owns"]
    assert len({words[2] for words in said}) == 1
    # The owner goes last, or those attached would lose the server under their hands.
    for words, program in sorted(zip(said, programs, strict=True), key=lambda pair: pair[0][0]):
        if words[0] == "owns":
            psycopg.connect(words[2]).close()
        program.communicate("\n", timeout=60)
        assert program.returncode == 0
    assert processes_in(place_of(home).data) == []


def test_a_command_attaches_and_does_not_stop_what_it_does_not_own(home: Path) -> None:
    with running(OWNER, home, stdin=subprocess.PIPE) as owner:
        with connected(home) as endpoint:
            keep_a_row(endpoint.owner_url)
        assert attach(home) == endpoint
        assert count(home) == 1
        owner.communicate("\n", timeout=60)
    assert attach(home) is None


def test_a_command_of_its_own_stops_what_it_started(home: Path) -> None:
    with connected(home) as endpoint:
        keep_a_row(endpoint.owner_url)
        assert processes_in(place_of(home).data) != []
    assert processes_in(place_of(home).data) == []


def test_looking_for_an_owner_does_not_look_like_an_owner(home: Path) -> None:
    with connected(home):
        pass
    look = "import sys; from pathlib import Path; from broker.storage.embedded import attach\n"
    look += "for _ in range(200): assert attach(Path(sys.argv[1])) is None"
    lookers = [start(look, home) for _ in range(3)]
    began = time.monotonic()
    for looker in lookers:
        looker.communicate(timeout=60)
    assert [looker.returncode for looker in lookers] == [0, 0, 0]
    assert time.monotonic() - began < 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal is Linux's")
def test_a_killed_owner_leaves_no_process_behind(home: Path) -> None:
    with running(OWNER, home, stdin=subprocess.PIPE) as owner:
        data = place_of(home).data
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert eventually(lambda: processes_in(data) == [])


def test_after_a_killed_owner_the_next_one_takes_over_at_once(home: Path) -> None:
    with running(OWNER, home, stdin=subprocess.PIPE) as owner:
        found = attach(home)
        assert found is not None
        keep_a_row(found.owner_url)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert count(home) == 1


def test_an_orphan_that_outlived_its_owner_is_taken_over(home: Path) -> None:
    without_signal = OWNER.replace(
        "server = ",
        "import broker.storage.embedded.process as process\nprocess.end_with_parent = lambda how: None\nserver = ",
    )
    with running(without_signal, home, stdin=subprocess.PIPE) as owner:
        found = attach(home)
        assert found is not None
        keep_a_row(found.owner_url)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        data = place_of(home).data
        assert processes_in(data) != []
        assert attach(home) is None
        assert count(home) == 1
        assert processes_in(data) == []


def test_a_killed_server_is_started_again_by_its_owner(home: Path) -> None:
    server = EmbeddedPostgres(home)
    try:
        first = server.start()
        keep_a_row(first.owner_url)
        for _ in range(2):
            os.kill(int((place_of(home).data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            assert server._process is not None
            server._process.wait()
            again = server.tend()
            assert again == first
            keep_a_row(again.owner_url)
        assert server.tend() == first
    finally:
        server.stop()
    assert count(home) == 3


def test_one_that_attached_becomes_the_owner_when_the_owner_is_gone(home: Path) -> None:
    server = EmbeddedPostgres(home)
    try:
        with running(OWNER, home, stdin=subprocess.PIPE) as owner:
            first = server.start()
            assert not server.owned
            owner.communicate("\n", timeout=60)
        assert server.tend() == first
        assert server.owned
        keep_a_row(first.owner_url)
    finally:
        server.stop()


def test_a_process_number_that_somebody_else_has_by_now_does_not_stop_the_start(home: Path) -> None:
    """After a restart of the machine the number in postmaster.pid often belongs to another program."""
    with connected(home) as endpoint:
        keep_a_row(endpoint.owner_url)
        data = place_of(home).data
        lines = (data / "postmaster.pid").read_text().splitlines()
    owner = data.stat().st_uid
    switch = {"user": owner} if os.geteuid() == 0 else {}
    bystander = subprocess.Popen(["/bin/sleep", "60"], **switch)
    try:
        (data / "postmaster.pid").write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        os.chown(data / "postmaster.pid", owner, -1)
        assert count(home) == 1
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_ctrl_c_does_not_reach_the_server_before_those_who_use_it(home: Path) -> None:
    finish(
        "import os, signal, sys; from pathlib import Path; from broker.storage.embedded import EmbeddedPostgres\n"
        "import psycopg\n"
        # A shell without job control starts what runs in its background with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); endpoint = server.start()\n"
        "try:\n    os.killpg(0, signal.SIGINT); signal.pause()\n"
        "except KeyboardInterrupt:\n    psycopg.connect(endpoint.app_url).close()\n"
        "server.stop()",
        home,
        start_new_session=True,
    )
