"""Civil enforcement is reached only by its own name, however the tree of purposes is drawn (R4)."""

from broker.grants.coverage import Lack, Request, Trees, lacks
from broker.grants.model import Grant
from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId
from broker.kernel.tree import Tree
from broker.kernel.words import Action, ItemKind
from tests.support.permission import CASE, ITEM, NOON, grant, marking

TREES = Trees(
    agencies=Tree({"DOS": None, "FBI": None}),
    purposes=Tree({"everything": None, "crime": "everything", "civil": "everything", "fines": "civil"}),
    civil=frozenset({"civil", "fines"}),
)


def _lacks(held: Grant, purpose: str) -> frozenset[Lack]:
    request = Request(
        owner=AgencyId("DOS"),
        parts=(marking("DOS"),),
        item=ItemId(ITEM),
        kind=ItemKind.LEAD,
        recipient=AgencyId("FBI"),
        action=Action.RELEASE,
        purpose=PurposeId(purpose),
        case_id=CaseId(CASE),
        fields=None,
        hops=0,
    )
    return lacks(held, request, TREES, NOON)


def _reaching_down(purpose: str) -> Grant:
    return grant("DOS", item=ITEM, trees=TREES, recipients=("FBI",), purposes=(purpose,), include_subpurposes=True)


def test_a_grant_from_above_does_not_reach_civil_enforcement() -> None:
    assert not _lacks(_reaching_down("everything"), "crime")
    assert _lacks(_reaching_down("everything"), "civil") == {Lack.PURPOSE}
    assert _lacks(_reaching_down("everything"), "fines") == {Lack.PURPOSE}


def test_a_grant_that_names_it_does() -> None:
    assert not _lacks(_reaching_down("civil"), "civil")
    assert not _lacks(_reaching_down("civil"), "fines")
