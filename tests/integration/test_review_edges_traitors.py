"""Rules of `test_review_edges`, each taken out, and its test that is then not passed any more."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.oversight.correction_queries import TRACE
from broker.oversight.queries import QUERIES
from broker.oversight.search_queries import PROBES
from broker.products import lead as lead_module
from broker.release.exigent import repository as exigent_repository
from broker.search.callbacks import ON_RECORD
from tests.integration import test_review_edges as edges
from tests.support.postgres import Database
from tests.support.traitors import assert_caught, each_caught


def holders_work_the_maker_s_case(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(*_: Any) -> object:
        return object()

    monkeypatch.setattr(lead_module, "find_case", found)


def an_owner_follows_every_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = TRACE.sql.replace("x.owners && CAST(:owners AS text[])", "true")
    assert blind != TRACE.sql
    monkeypatch.setitem(QUERIES, "trace", replace(TRACE, sql=blind))


def who_asked_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = exigent_repository.hold

    async def of_nobody(*asked: Any) -> Any:
        release = await honest(*asked)
        return release and release.model_copy(update={"requested_by": "nobody"})

    monkeypatch.setattr(exigent_repository, "hold", of_nobody)


def a_refused_act_leaves_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    monkeypatch.setattr("broker.audit.refusals.record", nothing)


def whoever_may_read_a_grant_reads_what_hangs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.release.impact.may_know", lambda actor, grant: True)


@each_caught(
    (edges.test_a_holder_of_a_part_that_acts_on_it_hears_nothing_of_the_rest, holders_work_the_maker_s_case),
    (edges.test_a_trace_shows_an_owner_no_copy_without_its_information, an_owner_follows_every_copy),
    (edges.test_who_asked_does_not_ratify_for_the_owner_with_another_token, who_asked_is_not_looked_at),
    (
        edges.test_an_owner_s_act_that_is_refused_is_on_record_and_says_nothing_of_the_item,
        a_refused_act_leaves_no_record,
    ),
    (
        edges.test_a_liaison_s_grant_hangs_on_nothing_that_the_liaison_may_read,
        whoever_may_read_a_grant_reads_what_hangs_on_it,
    ),
)
def test_traitor_without_the_rule_is_caught(
    postgres: Database,
    monkeypatch: pytest.MonkeyPatch,
    rule: Callable[[Database], None],
    broken: Callable[[pytest.MonkeyPatch], None],
) -> None:
    broken(monkeypatch)
    assert_caught(rule, postgres)


def an_administrator_s_other_roles_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.api.deps.GRANTING", frozenset())


def strangers_are_recorded_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.search.callbacks.ON_RECORD", replace(ON_RECORD, burst=10_000))


def an_owner_counts_the_others_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = PROBES.sql.replace("k.partner = ANY (CAST(:partners AS text[]))", "true")
    assert blind != PROBES.sql
    monkeypatch.setitem(QUERIES, "probes", replace(PROBES, sql=blind))


@each_caught(
    (
        edges.test_an_administrator_speaks_for_no_owner_with_a_second_role_in_the_token,
        an_administrator_s_other_roles_count,
    ),
    (
        edges.test_strangers_do_not_find_out_who_is_a_partner_nor_fill_the_log,
        strangers_are_recorded_without_end,
    ),
    (
        edges.test_an_owner_does_not_learn_that_a_probe_went_to_other_partners_before,
        an_owner_counts_the_others_searches,
    ),
)
def test_traitor_at_the_edge_without_the_rule_is_caught(
    fresh_postgres: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rule: Callable[[Database, Path], None],
    broken: Callable[[pytest.MonkeyPatch], None],
) -> None:
    broken(monkeypatch)
    assert_caught(rule, fresh_postgres, tmp_path)
