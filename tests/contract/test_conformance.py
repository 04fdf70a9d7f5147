"""All shipped adapters pass the suite that a third party's has to pass, and the suite catches what it must."""

import asyncio
import base64
import urllib.request

import pytest

from adapters.cbp.adapter import CbpAdapter
from adapters.contractor.adapter import ContractorAdapter
from adapters.dmv import itl
from adapters.dmv.adapter import DmvAdapter
from adapters.dos.adapter import DosAdapter
from adapters.vendor.adapter import VendorAdapter
from broker.kernel.ids import new_id
from broker.partners import conformance
from broker.partners.contract import (
    Answered,
    Failed,
    FailureKind,
    Handling,
    NoHit,
    ProbeImage,
    Submitted,
    WireFailure,
    WireReply,
)
from broker.partners.fakes import NullAdapter


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_cbp_adapter_conforms(check, cbp_url, subject_of):
    asyncio.run(check(subject_of(CbpAdapter(), cbp_url, "travellers")))


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_dos_adapter_conforms(check, dos_url, subject_of):
    asyncio.run(check(subject_of(DosAdapter(), dos_url, "visas")))


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_dmv_adapter_conforms(check, dmv_url, subject_of):
    asyncio.run(check(subject_of(DmvAdapter(), dmv_url, "drivers", media_type=itl.MEDIA_TYPE)))


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_vendor_adapter_conforms(check, vendor_url, subject_of):
    asyncio.run(check(subject_of(VendorAdapter(), vendor_url, "images", key_header="X-Api-Key")))


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_the_contractor_adapter_conforms(check, contractor_url, subject_of):
    asyncio.run(check(subject_of(ContractorAdapter(), contractor_url, "check-in", participant="P-0100")))


class _TakesCutFiles(DmvAdapter):
    """Reads as far as it gets, as a lenient reader would."""

    async def search(self, order, wire):
        outcome = await super().search(order, wire)
        return NoHit() if outcome == Failed(kind=FailureKind.MALFORMED_REPLY) else outcome


class _RenewsTheTransaction(CbpAdapter):
    """Every call looks like a search of its own to the partner."""

    async def search(self, order, wire):
        return await super().search(order.model_copy(update={"transaction_id": new_id("trx")}), wire)


class _RenewsOnRetry(CbpAdapter):
    """Repeats by itself after a failure, as another search."""

    async def search(self, order, wire):
        try:
            return await super().search(order, wire)
        except WireFailure:
            return await super().search(order.model_copy(update={"transaction_id": new_id("trx")}), wire)


class _FollowsRedirects(CbpAdapter):
    """Goes past the wire with a client of its own, which goes wherever it is sent."""

    async def search(self, order, wire):
        try:
            return await super().search(order, wire)
        except WireFailure:
            await asyncio.to_thread(urllib.request.urlopen, str(wire._base), None, 2)
            raise


class _SwallowsFailures(CbpAdapter):
    async def search(self, order, wire):
        try:
            return await super().search(order, wire)
        except WireFailure:
            return NoHit()


class _TakesRefusalsForNoHit(CbpAdapter):
    async def search(self, order, wire):
        reply = await wire.send("POST", f"/v1/identify/{order.gallery}", json=None, idempotent=True)
        return NoHit() if reply.status == 404 else await super().search(order, wire)


class _InventsAnOwner(CbpAdapter):
    async def search(self, order, wire):
        outcome = await super().search(order, wire)
        if not isinstance(outcome, Answered):
            return outcome
        return Answered(
            candidates=tuple(
                one.model_copy(update={"handling": Handling(owner="STATE-EX")}) for one in outcome.candidates
            )
        )


class _EditsTheProbe(CbpAdapter):
    async def search(self, order, wire):
        return await super().search(
            order.model_copy(update={"probe": ProbeImage.of(order.probe.content + b"\0")}), wire
        )


class _RemembersTheLastOrder(CbpAdapter):
    last = None

    async def search(self, order, wire):
        self.last = order.transaction_id
        await asyncio.sleep(0.05)
        return await super().search(order.model_copy(update={"transaction_id": self.last}), wire)


class _PastesTheTaskId(DosAdapter):
    async def poll(self, order, task_id, wire):
        reply = await wire.send("GET", f"/v1/tasks/{task_id}/status", idempotent=True)
        return NoHit() if reply.status == 200 else Submitted(task_id=task_id)


class _Raises(CbpAdapter):
    async def search(self, order, wire):
        reply = await wire.send("POST", f"/v1/identify/{order.gallery}", idempotent=True)
        return Submitted(task_id=reply.json["task"])


class _BlocksTheThread(CbpAdapter):
    async def search(self, order, wire):
        import time

        time.sleep(3.3)
        return await super().search(order, wire)


class _BelievesAnyCallback(CbpAdapter):
    def callback(self, order, body, query):
        return NoHit()


TRAITORS = [
    (_RenewsTheTransaction, {"carries_the_transaction_id", "repeats_unchanged"}),
    (_RenewsOnRetry, {"repeats_unchanged"}),
    (_FollowsRedirects, {"follows_no_redirect"}),
    (_SwallowsFailures, {"lets_wire_failures_pass", "survives_hostile_partners"}),
    (_TakesRefusalsForNoHit, {"types_refusals"}),
    (_InventsAnOwner, {"invents_no_owner"}),
    (_EditsTheProbe, {"carries_the_probe"}),
    (_RemembersTheLastOrder, {"keeps_no_state"}),
    (_Raises, {"types_garbage"}),
    (_BlocksTheThread, {"does_not_block"}),
    (_BelievesAnyCallback, {"reads_callbacks_strictly"}),
]


@pytest.mark.parametrize(("traitor", "caught_by"), TRAITORS, ids=[traitor.__name__ for traitor, _ in TRAITORS])
def test_the_suite_catches_a_traitor(traitor, caught_by, cbp_url, subject_of):
    subject = subject_of(traitor(), cbp_url, "travellers")
    for check in conformance.CHECKS:
        if check.__name__ in caught_by:
            with pytest.raises(conformance.NotConforming):
                asyncio.run(check(subject))


def test_the_suite_catches_an_adapter_that_takes_cut_files(dmv_url, subject_of):
    faults = asyncio.run(
        conformance.examine(subject_of(_TakesCutFiles(), dmv_url, "drivers", media_type=itl.MEDIA_TYPE))
    )
    assert faults.keys() == {"types_garbage", "types_cut_replies"}


def test_the_suite_catches_a_task_id_that_is_pasted_into_the_path(dos_url, subject_of):
    check = next(check for check in conformance.CHECKS if check.__name__ == "stays_below_its_base")
    with pytest.raises(conformance.NotConforming):
        asyncio.run(check(subject_of(_PastesTheTaskId(), dos_url, "visas")))


def test_the_suite_catches_the_null_adapter_and_names_the_checks(cbp_url, subject_of):
    with pytest.warns(RuntimeWarning, match="asks no partner"):
        adapter = NullAdapter()
    faults = asyncio.run(conformance.examine(subject_of(adapter, cbp_url, "travellers")))
    assert {"finds_a_hit", "carries_the_transaction_id", "types_refusals", "follows_no_redirect"} <= faults.keys()
    assert faults["finds_a_hit"] == "a hit gave NoHit"


def test_faults_hold_no_record_of_the_partner(cbp_url, subject_of):
    faults = asyncio.run(conformance.examine(subject_of(_InventsAnOwner(), cbp_url, "travellers")))
    assert faults.keys() == {"invents_no_owner"}
    assert "R-0" not in str(faults)
    assert base64.b64encode(b"\xff\xd8\xff").decode() not in str(faults)
    assert WireReply(200, {"secret": 1}) != WireReply(200, None)
    assert "secret" not in repr(WireReply(200, {"secret": 1}))
