"""Who may record a grant, for whom, and whether it still needs a second person. Pure.

An owner's release officer acts for the own agency and no other. A liaison writes down what an outside owner has
decided, with evidence, and belongs neither to the side that holds the item nor to the side that would get it.
"""

from collections.abc import Sequence
from enum import StrEnum

from broker.audit.events import Actor
from broker.grants.model import Grant, GrantStatus, Terms
from broker.kernel.errors import Forbidden
from broker.kernel.ids import AgencyId
from broker.kernel.tree import Tree
from broker.kernel.words import Role


class Standing(StrEnum):
    """In which capacity somebody acts on the register."""

    OFFICER = "officer"
    LIAISON = "liaison"


def standing_of(
    actor: Actor, terms: Terms, custodians: Sequence[AgencyId], agencies: Tree, *, ending: bool = False
) -> Standing:
    """The capacity in which *actor* may act on a grant of these terms; raises Forbidden when there is none.

    With *ending* the act takes a permission away, which an agency that has left the register must not stand against.
    """
    if Role.ADMIN.value in actor.roles:
        raise Forbidden("an administrator may never grant")
    if Role.RELEASE_OFFICER.value in actor.roles and actor.agency == terms.owner:
        return Standing.OFFICER
    if Role.LIAISON.value not in actor.roles:
        raise Forbidden("only the owner's release officer, or a liaison with the owner's evidence, records its grants")
    if terms.needs_second:
        raise Forbidden("a liaison may record permission for items or a case; no standing one, and no lift")
    own_department = agencies.root(actor.agency)
    sides = {agencies.root(agency) for agency in (*custodians, *terms.recipients)}
    # A side that is not in the register any more could be anybody's, the liaison's own included.
    if own_department is None or own_department in sides or (None in sides and not ending):
        raise Forbidden("a liaison may not belong to the department that holds the item or to a recipient's")
    return Standing.LIAISON


def first_status(standing: Standing, terms: Terms) -> GrantStatus:
    """A liaison's record, a standing grant and a lift wait for a second person."""
    if standing is Standing.LIAISON or terms.needs_second:
        return GrantStatus.PENDING
    return GrantStatus.ACTIVE


def check_second(actor: Actor, grant: Grant, standing: Standing) -> None:
    """The second person is another one, in the same capacity as the first; raises Forbidden."""
    if actor.sub == grant.recorded_by:
        raise Forbidden("the one who recorded a grant cannot confirm it")
    first = Standing.OFFICER if grant.recorded_agency == grant.terms.owner else Standing.LIAISON
    if standing is not first:
        raise Forbidden(f"this grant was recorded by the owner's {first}, and another {first} confirms it")
