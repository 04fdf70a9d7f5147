import pytest

from adapters.cbp.standin import build as build_cbp
from adapters.contractor.standin import build as build_contractor
from adapters.dmv.standin import build as build_dmv
from adapters.dos.standin import build as build_dos
from adapters.faces.samples import hit_probe, stranger_probe
from adapters.vendor.standin import build as build_vendor
from broker.partners import conformance
from tests.contract.serving import serving

SECRET = b"a secret of the tests, 32 bytes!"


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    key = tmp_path_factory.mktemp("keys") / "partner.key"
    key.write_bytes(SECRET)
    return {"PARTNER_KEY_FILE": str(key), "PARTNER_DELAY_SECONDS": "0.1"}


@pytest.fixture(scope="session")
def cbp_url(settings):
    with serving(build_cbp(settings)) as url:
        yield url


@pytest.fixture(scope="session")
def dos_url(settings):
    with serving(build_dos(settings)) as url:
        yield url


@pytest.fixture(scope="session")
def dmv_url(settings):
    with serving(build_dmv(settings)) as url:
        yield url


@pytest.fixture(scope="session")
def vendor_url(settings):
    with serving(build_vendor(settings)) as url:
        yield url


@pytest.fixture(scope="session")
def contractor_url(settings):
    with serving(build_contractor(settings)) as url:
        yield url


@pytest.fixture
def subject_of():
    def make(adapter, url, gallery, **options):
        return conformance.Subject(
            adapter=adapter,
            url=url,
            gallery=gallery,
            secret=SECRET,
            hit=hit_probe(0),
            stranger=stranger_probe(0),
            **options,
        )

    return make
