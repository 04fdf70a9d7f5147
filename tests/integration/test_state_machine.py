"""Any sequence of acts leaves the invariants standing: a Hypothesis state machine over the real services and PostgreSQL.

Each release had, at its commit, an active grant of every owner that needs one; what must be permitted is permitted;
owner sets never shrink; there is one audit row for each act.
"""

import asyncio
import os
import secrets
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from broker.items.model import Source
from broker.kernel.clock import SystemClock
from broker.kernel.ids import ItemId
from broker.kernel.words import ItemKind
from broker.policy.activation import activate
from broker.policy.holder import Policies
from broker.products.derive import Draft, Part
from broker.recall.model import NoticeKind
from broker.recall.service import RecallService
from broker.release.model import Release
from broker.release.service import Refused
from tests.integration.ledger_model import Books, Permission
from tests.support.policy_files import SHIPPED
from tests.support.postgres import Database
from tests.support.workplace import ANALYST, Workplace, officer, workplace

_KINDS = (ItemKind.LEAD, ItemKind.NOTE, ItemKind.SUMMARY, ItemKind.COUNT, ItemKind.REDACTION)
_SHORT, _LONG = timedelta(milliseconds=60), timedelta(days=30)
_RECIPIENTS = st.sampled_from(["FBI", "ICE-ERO", "DOS", "STATE-EX-POLICE"])
_OWNERS = st.sampled_from(["CBP", "DOS"])


class Acts(RuleBasedStateMachine):
    """The acts, each done to the service and written into the model's books."""

    database: ClassVar[Database]
    policies: ClassVar[Policies]
    permitted: ClassVar[int] = 0
    """Releases permitted in all sequences: a run that permits nothing shows nothing."""
    items = Bundle("items")
    grants = Bundle("grants")
    notices = Bundle("notices")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.books = Books()
        self.passed: list[str] = []
        self.began = datetime.now(UTC)
        self.closing = AsyncExitStack()
        self.place = self.run(self._open())
        self.watch = psycopg.connect(self.database.owner_url, autocommit=True)
        self.first = self._last_entry()

    def run(self, act: Any) -> Any:
        return self.runner.run(act)

    async def _open(self) -> Workplace:
        return await self.closing.enter_async_context(workplace(self.database, policies=self.policies))

    def teardown(self) -> None:
        Acts.permitted += len(self.passed)
        self.run(self.closing.aclose())
        self.runner.close()
        self.watch.close()

    @initialize()
    def a_case(self) -> None:
        self.case = self.run(self.place.case())
        self.books.did("case:register:opened")

    @rule(target=items, owner=_OWNERS)
    def a_partner_answers(self, owner: str) -> str:
        item = self.run(self.place.item(self.case, owner, kind=ItemKind.CANDIDATE_LIST))
        self.books.owners[item] = frozenset({owner})
        return str(item)

    @rule(
        target=items, sources=st.lists(items, min_size=1, max_size=3), kind=st.sampled_from(_KINDS), own=st.booleans()
    )
    def something_is_made(self, sources: list[str], kind: ItemKind, own: bool) -> str:
        """Copied, redacted, counted, summed up or written: each keeps every owner."""
        used = Part(
            text=secrets.token_hex(4), sources=tuple(Source(item=ItemId(one)) for one in dict.fromkeys(sources))
        )
        words = (Part(text=secrets.token_hex(4), sources=()),) if own else ()
        draft = Draft(kind=kind, title="t", case_id=self.case, parts=(used, *words))
        made = self.run(self.place.derive.derive(ANALYST, draft, self.place.policy.bundle.purposes))
        owners = frozenset().union(*(self.books.owners[one] for one in sources), {"ICE-HSI"} if own else ())
        self.books.owners[made.id] = owners
        self.books.sources[made.id] = frozenset(sources)
        self.books.did("item:derived:created")
        return str(made.id)

    @rule(
        target=grants,
        item=items,
        to=_RECIPIENTS,
        which=st.integers(0, 3),
        short=st.booleans(),
        uses=st.sampled_from([None, None, 1, 2]),
    )
    def an_owner_permits(self, item: str, to: str, which: int, short: bool, uses: int | None) -> str:
        choices = sorted(self.books.owners[item] - {to, "ICE-HSI"})
        if not choices:
            return ""
        owner = choices[which % len(choices)]
        until = datetime.now(UTC) + (_SHORT if short else _LONG)
        made = self.run(self.place.grant(owner, item, recipients=(to,), valid_until=until, max_uses=uses))
        self.books.grants[made.id] = Permission(owner, item, to, until, uses)
        self.books.did("grant:register:recorded")
        return str(made.id)

    @rule(target=grants, item=items, to=_RECIPIENTS, uses=st.sampled_from([None, 1]))
    def every_owner_permits_and_it_is_passed_on(self, item: str, to: str, uses: int | None) -> str:
        last = ""
        for owner in sorted(self.books.lacking(item, to, datetime.now(UTC))):
            until = datetime.now(UTC) + _LONG
            made = self.run(self.place.grant(owner, item, recipients=(to,), valid_until=until, max_uses=uses))
            self.books.grants[made.id] = Permission(owner, item, to, until, uses)
            self.books.did("grant:register:recorded")
            last = str(made.id)
        self.somebody_asks_for_a_release(item, to)
        return last

    @rule(grant=consumes(grants))
    def an_owner_revokes(self, grant: str) -> None:
        if not grant:
            return
        held = self.books.grants[grant]
        agencies = self.place.policy.bundle.agencies
        self.run(self.place.endings.revoke(officer(held.owner), grant, "no longer", agencies))
        held.standing = False
        self.books.did("grant:register:revoked")

    @rule()
    def time_passes(self) -> None:
        self.run(asyncio.sleep(_SHORT.total_seconds()))

    @rule(item=items, to=_RECIPIENTS)
    def a_release_is_asked_for(self, item: str, to: str) -> None:
        self.somebody_asks_for_a_release(item, to)

    def somebody_asks_for_a_release(self, item: str, to: str) -> None:
        before = datetime.now(UTC)
        answer = self.run(self.place.release(self.case, item, to=to))
        after = datetime.now(UTC)
        self._judge(item, to, answer, before, after)

    @rule(target=notices, item=items, which=st.integers(0, 3))
    def an_owner_recalls(self, item: str, which: int) -> str:
        choices = sorted(self.books.owners[item] - {"ICE-HSI"})
        if not choices:
            return ""
        owner = choices[which % len(choices)]
        recall = RecallService(self.place.work)
        made = self.run(recall.announce(officer(owner), item, NoticeKind.DISPUTED, "It may be wrong.", None))
        self.books.notices[made.id] = (owner, item)
        self.books.did("recall:notice:recorded")
        return str(made.id)

    @rule(notice=consumes(notices))
    def an_owner_lifts_a_notice(self, notice: str) -> None:
        if not notice:
            return
        owner, _ = self.books.notices.pop(notice)
        self.run(RecallService(self.place.work).lift(officer(owner), notice))
        self.books.did("recall:notice:lifted")

    @rule()
    def the_policy_is_loaded_anew(self) -> None:
        async def reload() -> None:
            async with self.place.work.begin() as tx:
                await activate(tx, self.place.policy.bundle, "tests")

        self.run(reload())

    @rule(item=items, to=_RECIPIENTS, moment=st.floats(0, 0.012))
    def the_service_dies_in_the_middle_of_a_release(self, item: str, to: str, moment: float) -> None:
        """Whatever it had not committed has not happened; what it had committed is whole."""

        async def die() -> Release | Refused | None:
            task = asyncio.create_task(self.place.release(self.case, item, to=to))
            await asyncio.wait({task}, timeout=moment)
            task.cancel()
            done = (await asyncio.gather(task, return_exceptions=True))[0]
            await self.closing.aclose()
            return None if isinstance(done, BaseException) else done

        before = datetime.now(UTC)
        held = self._releases()
        answer = self.run(die())
        after = datetime.now(UTC)
        self.closing = AsyncExitStack()
        self.place = self.run(self._open())
        if answer is None and len(self._releases()) > len(held):
            answer = "committed, and nobody was told"  # type: ignore[assignment]
        if answer is not None:
            self._judge(item, to, answer, before, after)

    def _judge(self, item: str, to: str, answer: Any, before: datetime, after: datetime) -> None:
        """Against the books, which say the same at both ends unless a grant ran out in between."""
        refused = isinstance(answer, Refused)
        # What was asked is judged by what had been used up until then; its own use counts for what comes after.
        certain = {self.books.may_pass(item, to, before), self.books.may_pass(item, to, after)}
        assert (not refused) in certain, (answer, self.books.lacking(item, to, after))
        self._count_uses()
        if refused:
            assert answer.judgement.outcome.reasons, "a refusal without a reason"
            return
        self.passed.append(item)

    def _count_uses(self) -> None:
        """A use is a release on record that names the grant."""
        named = Counter(grant for _, _, grants in self._releases() for grant in grants)
        for grant, held in self.books.grants.items():
            held.used = named[grant]

    @invariant()
    def each_release_had_every_owner_s_permission_when_it_was_committed(self) -> None:
        for item, to, grants in self._releases():
            needing = {
                owner for owner in self.books.owners[item] - {to, "ICE-HSI"} if not (owner == "CBP" and to == "ICE-ERO")
            }
            assert {self.books.grants[one].owner for one in grants} == needing
        for held in self.books.grants.values():
            assert held.max_uses is None or held.used <= held.max_uses

    @invariant()
    def no_item_has_lost_an_owner(self) -> None:
        rows = self.watch.execute(
            "SELECT item_id, array_agg(DISTINCT owner) FROM item_marking WHERE item_id = ANY(%s) GROUP BY 1",
            [list(self.books.owners)],
        ).fetchall()
        assert {item: frozenset(owners) for item, owners in rows} == self.books.owners

    @invariant()
    def there_is_one_row_for_each_act(self) -> None:
        rows = self.watch.execute(
            "SELECT tag, count(*) FROM audit_entry WHERE id > %s AND tag = ANY(%s) GROUP BY 1",
            [self.first, list(self.books.acts)],
        ).fetchall()
        assert dict(rows) == self.books.acts
        made, recorded = self.watch.execute(
            "SELECT (SELECT count(*) FROM release WHERE at >= %(began)s), (SELECT count(*) FROM audit_entry"
            " WHERE id > %(first)s AND tag = 'decision:gate:made' AND detail->>'channel' = 'release'"
            " AND detail->>'outcome' = 'permit')",
            {"began": self.began, "first": self.first},
        ).fetchone() or (0, 0)
        assert made == recorded

    def _last_entry(self) -> int:
        row = self.watch.execute("SELECT coalesce(max(id), 0) FROM audit_entry").fetchone()
        return int(row[0]) if row else 0

    def _releases(self) -> list[tuple[str, str, list[str]]]:
        return self.watch.execute(
            "SELECT item_id, recipient, grants FROM release WHERE item_id = ANY(%s)", [list(self.books.owners)]
        ).fetchall()


def played(database: Database, examples: int, steps: int, *, shrink: bool = True) -> None:
    """Play that many sequences of so many acts."""
    Acts.database = database
    Acts.policies = Policies(SHIPPED, SystemClock())
    run_state_machine_as_test(
        Acts,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=not os.environ.get("DEEP_PROPERTIES"),
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        ),
    )


def test_any_sequence_of_acts_leaves_the_invariants_standing(fresh_postgres: Database) -> None:
    Acts.permitted = 0
    played(fresh_postgres, 20, 25)
    assert Acts.permitted > 10


@pytest.mark.deep
def test_many_long_sequences_of_acts(fresh_postgres: Database) -> None:
    played(fresh_postgres, 500, 60)


def test_traitor_that_forgets_an_owner_is_caught(fresh_postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is made takes the owners of its first source."""
    from broker.products import derive

    whole = derive.written
    monkeypatch.setattr(derive, "written", lambda lineages, parts: whole(lineages[:1], parts))
    with pytest.raises(AssertionError):
        played(fresh_postgres, 20, 25, shrink=False)
