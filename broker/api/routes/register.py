"""What is registered and in force: partners, policies."""

import hashlib
from typing import Annotated, Final

from fastapi import APIRouter, Depends

from broker.api.auth import Caller
from broker.api.deps import Allowed, ServicesDep
from broker.api.schemas.register import DiffersReply, LastErrorReply, PolicyFile, PolicyReply
from broker.api.schemas.searches import LineReply, PartnerList, PartnerReply
from broker.api.strict_bodies import StrictRoute
from broker.partners.circuit import CircuitState
from broker.partners.line import Line
from broker.policy.question import Act, RoleQuestion

_DIFFERS: Final = (
    "another policy was put in force since this host's folder was changed; "
    "change the folder, or run `broker policy activate` to put it in force"
)
router = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["register"])


@router.get("/partners")
async def list_partners(
    caller: Annotated[Caller, Depends(Allowed(Act.PARTNER_READ))], held: ServicesDep
) -> PartnerList:
    """Every partner of the register and its agreement; for those who may know of the service, whether it answers."""
    engine = held.policies.current.engine
    knows = any(engine.ask_role(RoleQuestion(role=role, act=Act.SERVICE_READ)) for role in caller.roles)
    lines = await held.searches.lines() if knows else {}
    entries = held.policies.current.bundle.partners
    return PartnerList(
        items=[
            PartnerReply(
                id=one.id,
                title=one.title,
                owner=one.owner,
                custodian=one.custodian,
                approved=one.approved,
                agreement=one.agreement.number,
                valid_from=one.agreement.valid_from,
                valid_until=one.agreement.valid_until,
                purposes=list(one.agreement.purposes),
                probe_kinds=list(one.probe_kinds),
                line=_line(lines.get(one.id)),
                terms_version=one.participation.terms_version if one.participation is not None else None,
            )
            for one in entries
        ],
        next=None,
        complete=True,
    )


def _line(line: Line | None) -> LineReply | None:
    if line is None:
        return None
    circuit = line.circuit
    until = circuit.until if circuit.state is CircuitState.OPEN else None
    return LineReply(circuit=circuit.state, failures=circuit.failures, next_trial_at=until)


@router.get("/policies/current")
async def read_current_policy(
    caller: Annotated[Caller, Depends(Allowed(Act.POLICY_READ))], held: ServicesDep
) -> PolicyReply:
    """The policy that this process has loaded, the one in force, and the last one that was not taken."""
    del caller
    snapshot, error = held.policies.current, held.policies.last_error
    bundle = snapshot.bundle
    return PolicyReply(
        digest=snapshot.digest,
        in_force=await held.digest_in_force(),
        loaded_at=snapshot.loaded_at,
        rows=bundle.rows,
        files=[
            PolicyFile(path=path, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
            for path, content in sorted(bundle.files.items())
        ],
        agencies=sorted(bundle.agencies),
        purposes=sorted(bundle.purposes),
        caveats=sorted(bundle.caveats),
        last_error=None
        if error is None
        else LastErrorReply(at=error.at, detail=error.detail, faults=[str(one) for one in error.faults]),
        differs=DiffersReply(folder_digest=held.policies.authored.digest, detail=_DIFFERS)
        if held.policies.differs
        else None,
    )
