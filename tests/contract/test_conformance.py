"""Both shipped adapters pass the suite that a third party's has to pass, against their stand-ins, over HTTP."""

import asyncio

import pytest

from adapters.cbp.adapter import CbpAdapter
from adapters.cbp.standin import build as build_cbp
from adapters.dos.adapter import DosAdapter
from adapters.dos.standin import build as build_dos
from adapters.faces.samples import hit_probe, stranger_probe
from broker.partners import conformance
from tests.contract.serving import serving

SECRET = b"a secret of the tests, 32 bytes!"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    key = tmp_path_factory.mktemp("keys") / "partner.key"
    key.write_bytes(SECRET)
    return {"PARTNER_KEY_FILE": str(key), "PARTNER_DELAY_SECONDS": "0.1"}


@pytest.fixture(scope="module", params=["cbp", "dos"])
def subject(request, settings):
    adapter, build, gallery = {
        "cbp": (CbpAdapter(), build_cbp, "travellers"),
        "dos": (DosAdapter(), build_dos, "visas"),
    }[request.param]
    with serving(build(settings)) as url:
        yield conformance.Subject(
            adapter=adapter, url=url, gallery=gallery, secret=SECRET, hit=hit_probe(0), stranger=stranger_probe(0)
        )


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_a_shipped_adapter_conforms(check, subject):
    asyncio.run(check(subject))
