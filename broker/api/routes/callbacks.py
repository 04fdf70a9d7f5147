"""Partners' late answers. Not a caller's route: each partner signs with the secret that it shares with the broker."""

import secrets
from typing import Final

from fastapi import APIRouter, Request, Response

from broker.api.deps import ServicesDep
from broker.api.limits import ORDINARY_BODY, LongBodies
from broker.api.problems import problem
from broker.kernel.errors import Invalid, NotFound, Unauthenticated, Unavailable
from broker.kernel.ids import PartnerId
from broker.partners.callbacks import SIGNATURE_HEADER, Unverified, verify
from broker.search.callbacks import Taken

router = APIRouter(prefix="/v1/callbacks", tags=["callbacks"])
_NOBODYS: Final = secrets.token_bytes(32)
_ONCE: Final = ("transactionId", "taskId")
_BODIES: Final = LongBodies(at_once=2, seconds=30.0)


@router.post("/{partner}", status_code=204)
async def take_callback(partner: str, request: Request, held: ServicesDep) -> Response:
    """An answer to a leg that was submitted. Repeated answers, and answers after a cancellation, are taken as no news; one that
    comes after the leg's deadline is kept, and the leg is `answered` or `no_hit` with the reason `after the deadline`.
    """
    # As far for a name that is no partner's as for any other; a partner's own limit is held to when it has signed.
    longest = max([ORDINARY_BODY, *(entry.limits.reply_bytes for entry in held.registry.entries())])
    async with _BODIES.read(request, longest) as body:
        known = held.registry.find(partner)
        raw = request.scope["raw_path"].decode("ascii", "replace")
        query = request.scope["query_string"].decode("ascii", "replace")
        seen = verify(
            known.secret() if known is not None else _NOBODYS,
            request.headers.get(SIGNATURE_HEADER),
            method=request.method,
            target=f"{raw}?{query}" if query else raw,
            body=body,
            now=held.clock.now(),
        )
        # Who is a partner is not for strangers to find out: the same is read and said of a name that is none.
        if known is None or isinstance(seen, Unverified):
            if known is not None and isinstance(seen, Unverified):
                await held.callbacks.refuse(PartnerId(partner), seen.doubt.value)
            raise Unauthenticated("sign the callback with the secret shared with this broker")
        if any(len(request.query_params.getlist(name)) != 1 for name in _ONCE):
            raise Invalid("the query names transactionId and taskId, each once")
        taken = await held.callbacks.take(PartnerId(partner), request.query_params, body)
    if taken is Taken.UNKNOWN:
        raise NotFound
    if taken is Taken.NOT_YET:
        # It has overtaken its submission, and the partner comes again: nothing here has failed that anybody should see.
        return problem(Unavailable.status, Unavailable.slug, Unavailable.title)
    return Response(status_code=204)
