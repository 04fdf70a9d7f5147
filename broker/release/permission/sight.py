"""What of a permission request each reader may see. Pure."""

from broker.audit.events import Actor
from broker.kernel.tree import Tree
from broker.kernel.words import Role
from broker.release.permission.model import PermissionRequest


def as_seen_by(actor: Actor, request: PermissionRequest, agencies: Tree) -> PermissionRequest | None:
    """The request with what is not the actor's to see taken out; None when it is not theirs at all."""
    if request.component == actor.agency and Role.ANALYST.value in actor.roles:
        return request
    if Role.RELEASE_OFFICER.value in actor.roles:
        part = request.part_of(actor.agency)
        return None if part is None else request.model_copy(update={"parts": (part,)})
    # A liaison stands outside both sides, as it must to record an answer.
    sides = {agencies.root(request.component), agencies.root(request.recipient), None}
    outside = Role.LIAISON.value in actor.roles and agencies.root(actor.agency) not in sides
    if Role.AUDITOR.value in actor.roles or outside:
        bare = tuple(part.model_copy(update={"uses": (), "information": ()}) for part in request.parts)
        return request.model_copy(update={"parts": bare})
    return None
