"""What a role may do at all."""

import pytest

from broker.kernel.words import Role
from broker.policy.bundle import PolicyBundle
from broker.policy.engine import PolicyEngine
from broker.policy.question import Act, RoleQuestion
from broker.policy.source import from_files
from tests.support.policy_files import shipped


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    return from_files(shipped())


@pytest.fixture(scope="module")
def engine(bundle: PolicyBundle) -> PolicyEngine:
    return PolicyEngine(bundle)


def test_a_role_may_do_what_its_rows_say_and_nothing_else(bundle: PolicyBundle, engine: PolicyEngine) -> None:
    allowed = {(row.role, row.act) for row in bundle.access_rows}
    for role in Role:
        for act in Act:
            verdict = engine.ask_role(RoleQuestion(role=role, act=act))
            assert bool(verdict) is ((role, act) in allowed)
    assert not {act for role, act in allowed if role is Role.ADMIN} & {
        Act.GRANT_RECORD,
        Act.GRANT_CONFIRM,
        Act.GRANT_REVOKE,
    }
