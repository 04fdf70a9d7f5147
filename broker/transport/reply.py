"""Reading a reply: bounded, plain, strict, and saying of everything else what is wrong with it."""

import re
from datetime import UTC, datetime
from typing import Final

import httpx

from broker.kernel import strict_json
from broker.kernel.retry_after import retry_after
from broker.kernel.strict_json import Json, NotStrictJson
from broker.kernel.wire import WireFailure, WireFault, WireReply

JSON: Final = "application/json"
_JSON_TYPE: Final = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?\s*\Z", re.IGNORECASE)


async def read(response: httpx.Response, limit: int, accept: str) -> WireReply:
    """The reply, of *limit* bytes at the most: JSON, or the whole body where another media type was asked for."""
    if 300 <= response.status_code < 400:
        raise WireFailure(WireFault.REDIRECTED)
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise WireFailure(WireFault.ENCODED)
    body = await _bounded(response, limit)
    failed = response.status_code >= 400
    later = retry_after(response.headers.get("retry-after"), datetime.now(UTC)) if failed else None
    said = response.headers.get("content-type", "")
    if accept != JSON and said.partition(";")[0].strip().lower() == accept:
        return WireReply(response.status_code, None, body, later)
    if accept != JSON and not failed:
        raise WireFailure(WireFault.WRONG_CONTENT_TYPE)
    try:
        return WireReply(response.status_code, _parse(body, said), retry_after=later)
    except WireFailure:
        # What matters of an error is its status; many gateways send a page of HTML with it.
        if failed:
            return WireReply(response.status_code, None, retry_after=later)
        raise


async def _bounded(response: httpx.Response, limit: int) -> bytes:
    if int(response.headers.get("content-length", "0") or 0) > limit:
        raise WireFailure(WireFault.TOO_LARGE)
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise WireFailure(WireFault.TOO_LARGE)
    except httpx.HTTPError as error:
        raise WireFailure(WireFault.TRUNCATED) from error
    return bytes(body)


def _parse(body: bytes, content_type: str) -> Json:
    if not body:
        return None
    if _JSON_TYPE.match(content_type.strip()) is None:
        raise WireFailure(WireFault.WRONG_CONTENT_TYPE)
    try:
        value = strict_json.read(body)
    except NotStrictJson:
        raise WireFailure(WireFault.NOT_STRICT_JSON) from None
    # A body that ends with the connection may be cut without a sign of it. Brackets, quotes and words show the cut; a
    # bare number does not.
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise WireFailure(WireFault.NOT_STRICT_JSON)
    return value
