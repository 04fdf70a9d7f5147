"""The reports on searches, counted over searches of which the right numbers are known."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.audit.events import Actor
from broker.kernel.clock import SystemClock
from broker.kernel.ids import AgencyId, PurposeId, SearchId, Subject, TransactionId, new_id
from broker.kernel.words import LegState, ProbeKind
from broker.oversight.reports import Reports
from broker.policy.question import RuleRef
from broker.policy.search_question import SearchRefusal, SearchRefusalCode
from tests.support.desk import Desk, desk, entry
from tests.support.postgres import Database

AUDITOR = Actor(sub="aud", agency="DHS", roles=("auditor",))
SINCE = datetime(2017, 1, 1, tzinfo=UTC)
LINE = RuleRef(file="searches.csv", line=6, text="p, training, any, any, any, valid")


def refusal(code: SearchRefusalCode, rule: RuleRef | None = LINE) -> SearchRefusal:
    return SearchRefusal(code=code, rule=rule, detail="an invented reason")


async def searched(made: Desk, who: str, *refusals: SearchRefusal, trained: bool = True, **changes: Any) -> None:
    """One search of `p` by that user, refused for these reasons, or sent once."""
    plain = await made.read(await made.accept("p"))
    about = {name: changes.pop(name) for name in ("kind", "edits", "first_amendment_activity") if name in changes}
    probe = plain.terms.probe.model_copy(update=about)
    [leg] = plain.legs
    ended = {
        "transaction_id": TransactionId(new_id("txn")),
        "state": LegState.REFUSED if refusals else LegState.NO_HIT,
        "calls": 0 if refusals else 1,
        "refusals": refusals,
    }
    search = plain.model_copy(
        update={
            "id": SearchId(new_id("sea")),
            "requested_by": Subject(who),
            "requested_at": made.clock.now(),
            "terms": plain.terms.model_copy(update={"probe": probe, **changes}),
            "legs": (leg.model_copy(update=ended),),
        }
    )
    civil = search.terms.purpose == "civil_immigration_enforcement"
    async with made.work.begin() as tx:
        await made.searches.add(tx, search, made.probe, civil=civil, training_valid=trained)


async def rows(made: Desk, name: str, agency: str | None = None) -> list[dict[str, Any]]:
    reports = Reports(made.work, SystemClock())
    return (await reports.run(AUDITOR, name, SINCE, None, agency, [entry("p")])).rows


def test_each_report_counts_what_is_there_and_nothing_else(fresh_postgres: Database, tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(fresh_postgres, tmp_path, {"p": "http://127.0.0.1:1"}) as made:
            for name in ("civil-enforcement", "training", "probes", "partners", "refused-searches"):
                assert await rows(made, name) == [], name
            # Each of these leaves a plain search beside it, asked for by ana and never sent.
            await searched(made, "ana")
            await searched(made, "ben", refusal(SearchRefusalCode.TRAINING_LAPSED), trained=False)
            civil = (SearchRefusalCode.PURPOSE_NOT_AGREED, SearchRefusalCode.CIVIL_ENFORCEMENT_ONLY)
            await searched(
                made,
                "cyd",
                refusal(civil[0], RuleRef(file="partners.yaml", line=5, text="p")),
                refusal(civil[1], None),
                purpose=PurposeId("civil_immigration_enforcement"),
            )
            await searched(made, "ana", kind=ProbeKind.VIDEO_STILL, edits=("cropped",))
            await searched(
                made, "ana", refusal(SearchRefusalCode.FIRST_AMENDMENT_ACTIVITY), first_amendment_activity=True
            )

            [one] = await rows(made, "civil-enforcement")
            assert (one["purpose"], one["requested"], one["refused"], one["sent"]) == (
                "civil_immigration_enforcement",
                1,
                1,
                0,
            )
            [one] = await rows(made, "training")
            assert one == {
                "partner": "p",
                "component": "ICE-HSI",
                "users": 3,
                "requested": 10,
                "users_without_valid_training": 1,
                "requested_without_valid_training": 1,
                "sent_without_valid_training": 0,
            }
            photo, still = await rows(made, "probes")
            assert (photo["kind"], photo["requested"], photo["edited"], photo["protected_activity"]) == (
                "photo",
                9,
                0,
                1,
            )
            # All are the same file, so all but the very first had been searched before.
            assert photo["searched_before"] == 8
            assert (still["kind"], still["requested"], still["edited"], still["searched_before"]) == (
                "video_still",
                1,
                1,
                1,
            )
            assert photo["not_attested"] == still["not_attested"] == 0
            [one] = await rows(made, "partners")
            assert [
                one[key] for key in ("requested", "sent", "not_approved", "out_of_force", "purpose_not_agreed")
            ] == [
                10,
                2,
                0,
                0,
                1,
            ]
            refused = {
                (one["reason"], one["rule"]): (one["refused"], one["sent"])
                for one in await rows(made, "refused-searches")
            }
            assert refused == {
                ("civil_enforcement_only", None): (1, 0),
                ("first_amendment_activity", "searches.csv:6"): (1, 0),
                ("purpose_not_agreed", "partners.yaml:5"): (1, 0),
                ("training_lapsed", "searches.csv:6"): (1, 0),
            }
            # An owner reads of its own systems, and of nobody else's.
            assert await rows(made, "partners", agency="CBP") != []
            for name in ("civil-enforcement", "training", "probes", "partners", "refused-searches"):
                assert await rows(made, name, agency=AgencyId("DOS")) == [], name

    asyncio.run(run())
