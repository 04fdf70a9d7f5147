"""Two broker hosts, each in a network namespace of its own; one is cut off from the database, then from the partners."""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.chaos import Asking, token
from tests.support.fleet import PARTNERS, Fleet, Ledger, variables
from tests.support.namespaces import Network, network, relays, socket_of, through, why_not
from tests.support.postgres import Database
from tests.support.programs import eventually, reachable_folder

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("hosts")]
OPEN = {"queued", "sent", "pending"}
LONGEST = 25.0
"""Seconds in which everything that a host is asked has to be answered, whatever it is cut off from."""


class Hosts:
    """The two hosts and what a test asks of them."""

    def __init__(self, net: Network, database: Database, ports: dict[str, int], ledger: Ledger, folder: Path) -> None:
        self.database = database
        self.home = folder / "home"
        self.fleets: dict[str, Fleet] = {}
        for host in net.hosts:
            urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            address = net.database_at(host)
            settings = variables(
                self.home,
                through(database.app_url, address),
                through(database.owner_url, address),
                urls,
                folder / f"policies-{host}",
            )
            self.fleets[host] = Fleet(settings, folder / f"{host}.log", before=net.inside(host))
        self.ledger = ledger

    def answers(self, host: str) -> bool:
        """Whether it has been started: who calls before that waits, as the socket is there already."""
        try:
            return httpx.get(f"{self.fleets[host].url}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def ready(self, host: str) -> int:
        began = time.monotonic()
        try:
            return httpx.get(f"{self.fleets[host].url}/readyz", timeout=10, trust_env=False).status_code
        finally:
            assert time.monotonic() - began < 6, "whether a host is ready has to be known soon"

    def asking(self, host: str, deadline: float = 60) -> Asking:
        return Asking(self.fleets[host].url, token(self.home), deadline_seconds=deadline)

    def call(self, host: str, path: str) -> httpx.Response:
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {token(self.home)}"}
        answer = httpx.get(self.fleets[host].url + path, headers=headers, timeout=60, trust_env=False)
        assert time.monotonic() - began < LONGEST
        return answer

    def legs(self, search: str) -> list[tuple[str, str | None]]:
        with psycopg.connect(self.database.owner_url) as owner:
            return owner.execute("SELECT state, reason FROM search_leg WHERE search_id = %s", [search]).fetchall()

    def completes(self, search: str, seconds: float = 40.0) -> bool:
        return eventually(lambda: [state for state, _ in self.legs(search)] == ["answered"] * len(PARTNERS), seconds)

    def workers(self) -> int:
        with psycopg.connect(self.database.owner_url) as owner:
            return len(owner.execute("SELECT FROM process WHERE kind = 'worker'").fetchall())

    def said(self) -> Any:
        with psycopg.connect(self.database.owner_url) as owner:
            legs = owner.execute(
                "SELECT partner, state, reason, calls FROM search_leg ORDER BY requested_at"
            ).fetchall()
        return legs, {host: fleet.said()[-1500:] for host, fleet in self.fleets.items()}


def searched(asking: Asking, case: str) -> str:
    asking.search(case)
    assert asking.refused == []
    return asking.accepted[-1]


def test_a_host_that_is_cut_off_says_so_and_the_other_serves_on(fresh_postgres: Database) -> None:
    if reason := why_not():
        pytest.skip(reason)
    with ExitStack() as opened:
        folder = opened.enter_context(reachable_folder())
        ledger = opened.enter_context(Ledger(slowest=0.2).open())
        net = opened.enter_context(network("a", "b"))
        ports = opened.enter_context(relays(net, socket_of(fresh_postgres.app_url), ledger.urls, folder))
        hosts = Hosts(net, fresh_postgres, ports, ledger, folder)
        for fleet in hosts.fleets.values():
            opened.callback(fleet.end)
        for name in ("api", "worker"):
            for host, fleet in hosts.fleets.items():
                fleet.start(f"{name}-{host}")
        assert eventually(lambda: all(hosts.answers(host) for host in "ab"), 90), hosts.said()
        assert eventually(lambda: [hosts.ready(host) for host in "ab"] == [200, 200], 30), hosts.said()
        assert eventually(lambda: hosts.workers() == 2, 60), hosts.said()
        at_a, at_b = hosts.asking("a"), hosts.asking("b")
        case = at_a.case()
        assert hosts.completes(searched(at_a, case)), hosts.said()

        # 1. Cut off from the database, with a search under way that either worker may be looking after.
        ledger.slowest = 3.0
        under_way = searched(at_b, case)
        net.cut_off("a")
        began = time.monotonic()
        assert eventually(lambda: hosts.ready("a") == 503, 15)
        noticed = time.monotonic() - began
        # No answer rather than a wrong one, and in time; the other host serves on, and takes over what A had.
        assert hosts.call("a", f"/v1/searches/{under_way}").status_code == 503
        assert hosts.ready("b") == 200
        ledger.slowest = 0.2
        assert hosts.completes(under_way), hosts.said()
        assert hosts.completes(searched(at_b, case)), hosts.said()

        # 2. Back again, without being started anew.
        net.link_up("a")
        began = time.monotonic()
        assert eventually(lambda: hosts.ready("a") == 200, 40), hosts.said()
        back = time.monotonic() - began
        assert hosts.completes(searched(at_a, case)), hosts.said()
        print(json.dumps({"noticed_after": round(noticed, 1), "ready_again_after": round(back, 1)}))

        # 3. Cut off from the partners only: its legs end in time with a state and a reason, others are answered.
        net.cut_off_from_partners("a")
        short = hosts.asking("b", deadline=15)
        searches = [searched(short, case) for _ in range(4)]
        assert eventually(lambda: all(s not in OPEN for one in searches for s, _ in hosts.legs(one)), 30), hosts.said()
        ends = [leg for one in searches for leg in hosts.legs(one)]
        assert {state for state, _ in ends} <= {"answered", "partner_error", "timed_out"}
        assert all(state == "answered" or reason for state, reason in ends)
        assert "answered" in {state for state, _ in ends}
        net.link_partners("a")

        def all_well() -> bool:
            return hosts.completes(searched(at_b, case), 10)

        assert eventually(all_well, 60), hosts.said()
        assert all(len(bodies) == 1 for of in ledger.bodies.values() for bodies in of.values())
