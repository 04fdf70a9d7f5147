"""A partner that lies: it answers like any other, and claims that its records are another agency's."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree

from tests.story.people import ROOT

NAME = "rogue-example"
REGISTERED_OWNER = "VENDOR-EX"
CLAIMED_OWNER = "DOS"
_ROW = f"""
- id: {NAME}
  title: Invented partner that claims another owner
  owner: {REGISTERED_OWNER}
  custodian: {REGISTERED_OWNER}
  adapter: cbp
  url: http://127.0.0.1:8199/
  gallery: anybody
  approved: true
  agreement:
    number: MOU-EX-ROGUE-001
    valid_from: 2020-01-01
    valid_until: 2035-12-31
    purposes: [criminal_investigation]
  probe_kinds: [photo]
  caveats: [lead_only]
"""


class _Rogue(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        claim = {"handling": {"owner": CLAIMED_OWNER}}
        body = json.dumps([{"personId": "X-0001", "rank": 1, "score": 99.0, "others": claim}]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the story is what is printed."""


@contextmanager
def answering() -> Iterator[str]:
    """The rogue on a free loopback port; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Rogue)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def policies_with_it(folder: Path) -> Path:
    """The shipped policies and one more row in the register of partners: all it takes to add a partner."""
    copied = folder / "policies"
    copytree(ROOT / "policies", copied)
    partners = copied / "partners.yaml"
    partners.write_text(partners.read_text("utf-8") + _ROW, "utf-8")
    return copied
