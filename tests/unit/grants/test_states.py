"""How a grant stands at a moment, and who may do what to it: pure."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from broker.audit.events import Actor
from broker.grants.lifting import terms_of_lift
from broker.grants.model import Grant, GrantState, GrantStatus, Scope
from broker.grants.recording import Standing, first_status, standing_of
from broker.kernel.errors import Forbidden
from broker.kernel.ids import AgencyId, ItemId
from broker.kernel.words import ItemKind
from tests.support.permission import ITEM, NOON, grant, shipped_trees, terms

LATER = NOON + timedelta(days=60)
AGENCIES = shipped_trees().agencies


@pytest.mark.parametrize(
    ("held", "now", "state"),
    [
        (grant("DOS"), NOON, GrantState.ACTIVE),
        (grant("DOS"), LATER, GrantState.EXPIRED),
        (grant("DOS", valid_until=NOON), NOON, GrantState.EXPIRED),
        (grant("DOS", max_uses=2, uses=1), NOON, GrantState.ACTIVE),
        (grant("DOS", max_uses=2, uses=2), NOON, GrantState.EXHAUSTED),
        (grant("DOS", max_uses=2, uses=2), LATER, GrantState.EXPIRED),
        (grant("DOS", status=GrantStatus.PENDING), NOON, GrantState.PENDING),
        (grant("DOS", status=GrantStatus.PENDING), LATER, GrantState.EXPIRED),
        (grant("DOS", status=GrantStatus.SUSPENDED), NOON, GrantState.SUSPENDED),
        (grant("DOS", status=GrantStatus.SUPERSEDED), LATER, GrantState.SUPERSEDED),
        (grant("DOS", status=GrantStatus.REVOKED, max_uses=1, uses=1), NOON, GrantState.REVOKED),
        (grant("DOS", status=GrantStatus.ENTERED_IN_ERROR), LATER, GrantState.ENTERED_IN_ERROR),
    ],
)
def test_what_runs_out_is_told_by_time_and_uses(held: Grant, now: Any, state: GrantState) -> None:
    assert held.state(now) is state


def lift() -> Any:
    return terms_of_lift(AgencyId("DOS"), ItemId(ITEM), "olga", "it is in the open", NOON)


def test_a_lift_names_nobody_and_exactly_one_item() -> None:
    assert lift().needs_second
    for changes in ({"recipients": ("FBI",)}, {"purposes": ("threat_to_life",)}, {"lift": False}):
        with pytest.raises(ValidationError):
            type(lift())(**{**_members(lift()), **changes})
    for scope in (
        Scope(items=(ITEM, "itm_" + "b" * 26)),
        Scope(partner="dos-ccd"),
        Scope(items=(ITEM,), kind=ItemKind.LEAD),
    ):  # type: ignore[arg-type]
        with pytest.raises(ValidationError):
            type(lift())(**{**_members(lift()), "scope": scope})
    with pytest.raises(ValidationError):
        terms("DOS", recipients=())


def _members(of: Any) -> dict[str, Any]:
    return {name: getattr(of, name) for name in type(of).model_fields}


def test_a_lift_waits_for_a_second_officer_and_is_no_liaison_s() -> None:
    officer = Actor(sub="olga", agency="DOS", roles=("release_officer",))
    assert first_status(standing_of(officer, lift(), (), AGENCIES), lift()) is GrantStatus.PENDING
    for actor in (
        Actor(sub="lia", agency="STATE-EX", roles=("liaison",)),
        Actor(sub="ada", agency="DOS", roles=("release_officer", "admin")),
        Actor(sub="cora", agency="CBP", roles=("release_officer",)),
    ):
        with pytest.raises(Forbidden):
            standing_of(actor, lift(), (), AGENCIES)


def test_where_a_side_has_left_the_register_a_liaison_ends_and_does_not_record() -> None:
    """Nobody can tell whose side the liaison is on; to take permission away needs no such thing."""
    liaison = Actor(sub="lia", agency="STATE-EX", roles=("liaison",))
    gone = (AgencyId("ICE-GONE"),)
    assert standing_of(liaison, terms("DOS"), (AgencyId("ICE-HSI"),), AGENCIES) is Standing.LIAISON
    with pytest.raises(Forbidden):
        standing_of(liaison, terms("DOS"), gone, AGENCIES)
    assert standing_of(liaison, terms("DOS"), gone, AGENCIES, ending=True) is Standing.LIAISON
    own = (*gone, AgencyId("STATE-EX-DMV"))
    with pytest.raises(Forbidden):
        standing_of(liaison, terms("DOS"), own, AGENCIES, ending=True)
