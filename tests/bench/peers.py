"""What others would use for the same: stock Casbin with the same rows, and a SQLModel session with a select."""

from collections.abc import Callable
from typing import Any

import casbin
from sqlalchemy import create_engine, make_url
from sqlmodel import Session, col, select

from broker.grants.tables import GrantRow, ReachRow
from broker.kernel.words import Action, ItemKind
from broker.policy.casbin_port import RowEngine, build
from broker.policy.matching import met, same_or_any
from broker.policy.question import ShareQuestion, Standing
from broker.policy.snapshot import PolicySnapshot
from tests.bench import register

ROWS = 3


def casbin_peers(policy: PolicySnapshot) -> dict[str, Callable[[], object]]:
    """One question each: stock Casbin on three rows, our engine's Casbin on the same three, and our whole answer."""
    matching = policy.engine.matching
    functions = {
        "agency_reached": matching.agency_reached,
        "purpose_reached": matching.purpose_reached,
        "same_or_any": same_or_any,
        "met": met,
    }
    rows = [row.fields for row in policy.engine.rows_of("DOS")[:ROWS]]
    statements = policy.bundle.model
    stock = build(casbin.Enforcer, statements, rows, functions, "")
    ours = RowEngine(statements, rows, functions)
    question = ShareQuestion(
        owner=register.OWNERS[1],
        recipient=register.RECIPIENT,
        action=Action.RELEASE,
        purpose=register.PURPOSE,
        item_kind=ItemKind.LEAD,
        standing=Standing.PERMISSION,
    )
    words = ("DOS", "FBI", "release", "criminal_investigation", "lead", "permission")
    assert stock.enforce(*words) is ours.allows(*words) is bool(policy.engine.ask(question)) is True
    return {
        f"stock Casbin enforce, {ROWS} rows": lambda: stock.enforce(*words),
        f"our Casbin engine, the same {ROWS} rows": lambda: ours.allows(*words),
        f"our whole answer for one owner, {len(policy.engine.rows_of('DOS'))} rows": lambda: policy.engine.ask(
            question
        ),
    }


class SessionPeer:
    """A synchronous SQLModel session for each call, loading the grants as objects."""

    def __init__(self, app_url: str) -> None:
        self._engine = create_engine(make_url(app_url).set(drivername="postgresql+psycopg"), pool_pre_ping=True)

    def select(self, item: str) -> list[Any]:
        """The grants of both owners for one item's release."""
        with Session(self._engine) as session:
            statement = (
                select(GrantRow)
                .join(ReachRow, col(ReachRow.grant_id) == col(GrantRow.id))
                .where(
                    col(ReachRow.owner).in_(register.OWNERS),
                    ReachRow.scope_key == f"item:{item}",
                    ReachRow.action == "release",
                    ReachRow.recipient == register.RECIPIENT,
                    ReachRow.purpose == register.PURPOSE,
                    col(ReachRow.active),
                )
            )
            found = list(session.exec(statement))
        assert len(found) == len(register.OWNERS)
        return found

    def close(self) -> None:
        self._engine.dispose()
