"""An owner's answer to a permission request may carry duties and hops, and they are in the grant that it makes."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from broker.api.schemas.permissions import AnswerBody
from broker.grants.duties import PurgeBy, VerifyFirst
from broker.kernel.errors import Invalid
from broker.kernel.ids import AgencyId, PermissionRequestId, PurposeId, Subject
from broker.kernel.words import Action, ItemKind
from broker.release.permission.answers import _terms
from broker.release.permission.model import PermissionRequest
from tests.support.permission import CASE, ITEM, NOON

DOS = AgencyId("DOS")
ASKED = PermissionRequest(
    id=PermissionRequestId("req_" + "a" * 26),
    item=ITEM,
    kind=ItemKind.LEAD,
    component=AgencyId("ICE-HSI"),
    requested_by=Subject("ana"),
    requested_at=NOON,
    expires_at=NOON + timedelta(days=30),
    recipient=AgencyId("FBI"),
    action=Action.RELEASE,
    purpose=PurposeId("criminal_investigation"),
    case_id=CASE,
    fields=None,
    justification="",
    parts=(),
)


def test_duties_and_hops_reach_the_grant_and_are_conditions() -> None:
    body = AnswerBody.model_validate(
        {
            "decision": "granted_with_conditions",
            "onward": True,
            "max_hops": 2,
            "duties": [{"duty": "verify_first"}, {"duty": "purge_by", "days": 30}],
        }
    )
    terms = _terms(ASKED, DOS, body.answer(), NOON)
    assert terms.duties == (VerifyFirst(), PurgeBy(days=30))
    assert terms.hops == 2


def test_conditions_without_any_are_refused_and_unknown_ones_too() -> None:
    with pytest.raises(Invalid):
        _terms(ASKED, DOS, AnswerBody.model_validate({"decision": "granted_with_conditions"}).answer(), NOON)
    with pytest.raises(ValidationError):
        AnswerBody.model_validate({"decision": "granted", "duties": [{"duty": "tell_the_press"}]})
