"""Which role may make which call at all: every route of the API over every role, from the contract's table."""

import pytest

from broker.app import bare_app
from tests.scenarios.world import ROLES, UNKNOWN, World, refused

ITEM, SEARCH, RELEASE = UNKNOWN["item"], UNKNOWN["search"], UNKNOWN["release"]
CASE, GRANT = "cas_" + "a" * 26, "gra_" + "a" * 26
A, R, O, L, P, U, X = ROLES  # noqa: E741 - one letter a column, as in the table

MAY: dict[tuple[str, str], set[str]] = {
    # open and close cases, search, derive, ask for release, dry run
    ("POST", "/v1/cases"): {A},
    ("POST", "/v1/cases/{case_id}/close"): {A},
    ("POST", "/v1/searches"): {A},
    ("POST", "/v1/searches/{search_id}/cancel"): {A},
    ("POST", "/v1/items"): {A},
    ("POST", "/v1/imports"): {A},
    ("POST", "/v1/decisions"): {A},
    ("POST", "/v1/releases"): {A},
    # A reviewer sees the case and the search that brought what there is to review.
    ("GET", "/v1/cases"): {A, R},
    ("GET", "/v1/cases/{case_id}"): {A, R},
    ("GET", "/v1/searches"): {A, R},
    ("GET", "/v1/searches/{search_id}"): {A, R},
    ("GET", "/v1/searches/{search_id}/events"): {A, R},
    # view items, lineage
    ("GET", "/v1/items/{item_id}"): {A, R, O},
    ("GET", "/v1/items/{item_id}/lineage"): {A, R, O},
    # The record of a release is for more people than its content.
    ("GET", "/v1/releases"): {A, O, L, U},
    ("GET", "/v1/releases/{release_id}"): {A, O, L, U},
    ("POST", "/v1/releases/{release_id}/acceptance"): {A, O},
    # A release that waits for its permission, and one that could not wait
    ("POST", "/v1/releases/held"): {A},
    ("GET", "/v1/releases/held"): {A, O, L, U},
    ("GET", "/v1/releases/held/{held_id}"): {A, O, L, U},
    ("POST", "/v1/releases/held/{held_id}/withdraw"): {A},
    ("POST", "/v1/releases/{release_id}/ratification"): {O},
    ("GET", "/v1/exigent-releases"): {A, O, L, U},
    ("GET", "/v1/admin/grants/{grant_id}/impact"): {O, U},
    ("GET", "/v1/releases/{release_id}/package"): {A, O},
    # review candidates
    ("POST", "/v1/items/{item_id}/reviews"): {R},
    ("GET", "/v1/items/{item_id}/reviews"): {A, R, O},
    # verify with the owner before relying on it
    ("POST", "/v1/items/{item_id}/verification-requests"): {A},
    ("GET", "/v1/verification-requests"): {A, O},
    ("POST", "/v1/items/{item_id}/verifications"): {O},
    ("GET", "/v1/items/{item_id}/verifications"): {A, R, O},
    # act on a lead
    ("POST", "/v1/items/{item_id}/actions"): {A},
    ("GET", "/v1/items/{item_id}/actions"): {A, R, O},
    ("POST", "/v1/items/{item_id}/outcomes"): {A},
    # ask for permission; the owner's side answers
    ("POST", "/v1/permission-requests"): {A},
    ("POST", "/v1/permission-requests/{request_id}/information"): {A},
    ("POST", "/v1/permission-requests/{request_id}/withdraw"): {A},
    ("GET", "/v1/permission-requests"): {A, O, L, U},
    ("GET", "/v1/permission-requests/{request_id}"): {A, O, L, U},
    ("POST", "/v1/permission-requests/{request_id}/decision"): {O, L},
    # correct and recall; the recipients' side acknowledges
    ("POST", "/v1/items/{item_id}/notices"): {O},
    ("POST", "/v1/notices/{notice_id}/lift"): {O},
    ("POST", "/v1/notices/{notice_id}/acknowledge"): {A, O},
    ("GET", "/v1/notices"): {A, O, U},
    ("GET", "/v1/notices/received"): {A, O, U},
    ("GET", "/v1/notices/overdue"): {A, O, U},
    # an agency's messages, for its own people; what could not be brought, for those who run the service
    ("GET", "/v1/notifications"): {A, O, L},
    ("POST", "/v1/notifications/{notification_id}/read"): {A, O, L},
    ("GET", "/v1/notifications/undelivered"): {U, X},
    # record, confirm, revoke grants
    ("POST", "/v1/admin/grants"): {O, L},
    ("POST", "/v1/admin/grants/{grant_id}/confirm"): {O, L},
    ("POST", "/v1/admin/grants/{grant_id}/revoke"): {O, L},
    ("POST", "/v1/admin/grants/{grant_id}/supersede"): {O, L},
    ("POST", "/v1/admin/grants/{grant_id}/entered-in-error"): {O, L},
    # An owner's own word that it need not be asked any more; nobody writes that down for it.
    ("POST", "/v1/items/{item_id}/lift"): {O},
    ("GET", "/v1/admin/grants"): {A, O, L, U},
    ("GET", "/v1/admin/grants/{grant_id}"): {A, O, L, U},
    # policies, audit, oversight
    ("GET", "/v1/policies/current"): {O, P, U},
    ("GET", "/v1/audit/entries"): {O, U},
    ("GET", "/v1/audit/checkpoint"): {O, U},
    ("GET", "/v1/audit/proof"): {O, U},
    ("GET", "/v1/oversight/reports"): {O, U},
    ("GET", "/v1/oversight/reports/{name}"): {O, U},
    # participants: an analyst who must know; whose they are is asked each time
    ("POST", "/v1/participants"): {A},
    ("GET", "/v1/participants"): {A},
    ("GET", "/v1/participants/{participant_id}"): {A},
    ("POST", "/v1/participants/{participant_id}/terms"): {A},
    ("POST", "/v1/participants/{participant_id}/end"): {A},
    # how the service is doing
    ("GET", "/v1/service/processes"): {U, X},
    ("GET", "/v1/service/metrics"): {U, X},
    # partners; an analyst has to know their names to ask one
    ("GET", "/v1/partners"): {A, U, X},
}
FILLED = {"case_id": CASE, "search_id": SEARCH, "item_id": ITEM, "release_id": RELEASE, "grant_id": GRANT, "name": "x"}
FILLED |= {"request_id": "prq_" + "a" * 26, "notice_id": "ntc_" + "a" * 26, "notification_id": "ntf_" + "a" * 26}
FILLED |= {"participant_id": "par_" + "a" * 26}
FILLED |= {"held_id": "hld_" + "a" * 26}
OPEN = {"/healthz", "/readyz", "/metrics", "/v1/callbacks/{partner}"}


def test_the_table_names_every_route() -> None:
    routes = {
        (method.upper(), path)
        for path, item in bare_app().openapi()["paths"].items()
        for method in item
        if path not in OPEN
    }
    assert routes == set(MAY)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_call_what_the_contract_says_and_nothing_else(world: World, role: str) -> None:
    caller = world.as_("ICE-HSI", role, sub=f"only.{role}")
    wrong = []
    for (method, path), may in MAY.items():
        response = caller.request(
            method, path.format(**FILLED), params={"event": "x"} if path.endswith("proof") else None
        )
        if (response.status_code == 403) is (role in may):
            wrong.append((method, path, response.status_code))
        if response.status_code >= 400:
            refused(response, response.status_code)
        assert response.status_code < 500
    assert wrong == []


def test_a_refused_call_is_on_record(world: World) -> None:
    caller = world.as_("ICE-HSI", "admin", sub="curious.admin")
    refused(caller.get(f"/v1/items/{ITEM}"), 403)
    query = {"tag": "call:access:refused", "actor": "curious.admin"}
    entries = world.auditor.get("/v1/audit/entries", params=query).json()["items"]
    assert [entry["detail"] for entry in entries] == [{"route": "item_read", "status": 403}]
