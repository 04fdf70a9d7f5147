"""The cases of ``policies/tests/*_test.yaml``, one value per question, tables already written out."""

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from broker.kernel.ids import AgencyId
from broker.kernel.words import Role
from broker.policy.question import Act, ShareQuestion
from broker.policy.search_question import SearchQuestion, SearchRefusalCode


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Answer(StrEnum):
    """The three things that an owner's file can say to a question; exactly one of them is true."""

    ALLOW = "allow"
    NEEDS_PERMISSION = "needs_permission"
    """Refused as asked, allowed once the owner's permission is on record."""
    DENY = "deny"
    """Refused, permission or not."""


class ShareCase(_Value):
    """One question to an owner's file and the answer that the author expects."""

    line: int
    name: str
    question: ShareQuestion
    expected: Answer


class RoleCase(_Value):
    """One act and the roles that may do it; every other role is expected to be refused."""

    line: int
    act: Act
    allowed: frozenset[Role]


class SearchCase(_Value):
    """One question about a search and the refusals expected; none means that it may be sent."""

    line: int
    name: str
    question: SearchQuestion
    expected: frozenset[SearchRefusalCode]


class DefaultAnswer(StrEnum):
    """What an owner's third-party default says of something: it is free, or it has to be asked for."""

    FREED = "freed"
    ASK = "ask"


class DefaultCase(_Value):
    """Something of an owner's, when it was made and how it is marked, and what the default says of it on a day."""

    line: int
    name: str
    owner: AgencyId
    made: date
    decided: date
    caveats: tuple[str, ...]
    expected: DefaultAnswer


class Suite(_Value):
    """One file of cases."""

    file: str
    title: str
    shares: tuple[ShareCase, ...]
    roles: tuple[RoleCase, ...]
    searches: tuple[SearchCase, ...]
    defaults: tuple[DefaultCase, ...]
