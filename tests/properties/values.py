"""Random lineages, questions and grants over small closed sets, so that they often meet; and hostile words beside them.

The values are drawn once into pools; Hypothesis chooses among them and puts them together. That is some twenty times
as quick as having it build each one.
"""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

from broker.decision.model import Facts, Question
from broker.grants.coverage import Request, Trees
from broker.grants.duties import AttachCaveat, Duty, NotifyOwner, PurgeBy, Unreadable, VerifyFirst
from broker.grants.model import Grant, GrantStatus, Scope
from broker.kernel.ids import GrantId
from broker.kernel.words import Action, ItemKind
from broker.policy.engine import PolicyEngine
from broker.policy.source import from_files
from broker.provenance.lineage import Lineage
from broker.provenance.marking import Marking
from tests.support.permission import CASE, ITEM, NOON, changed, grant, marking
from tests.support.policy_files import lean, shipped

BUNDLE = from_files(lean(shipped()))
ENGINE = PolicyEngine(BUNDLE)
TREES = Trees(agencies=BUNDLE.agencies, purposes=BUNDLE.purposes, civil=BUNDLE.civil_purposes)
AGENCIES = ["CBP", "DOS", "ICE-HSI", "ICE-ERO", "FBI", "DOJ", "DHS"]
PURPOSES = list(BUNDLE.purposes)
CASES = [CASE, "cas_" + "b" * 26]
ITEMS = [ITEM, "itm_" + "b" * 26]
PARTNERS = ["cbp-atsp", "dos-ccd"]
HOSTILE = [
    "",
    " ",
    "any",
    "*",
    "dos",
    "DOS ",
    "DОS",
    "within:DHS",
    "under:any",
    "DOS\x00",
    "x" * 5000,
    "\ud800",
    "True",
]
MILD = ["lead_only", "no_onward"]
CAVEATS = [*MILD, "originator_only", "department_only", "verify_with_owner", "unheard_of"]
DUTIES: list[tuple[Duty, ...]] = [
    (NotifyOwner(),),
    (VerifyFirst(),),
    (PurgeBy(days=30),),
    (PurgeBy(at=NOON), NotifyOwner()),
    (PurgeBy(at=NOON + timedelta(hours=1)),),
    (AttachCaveat(caveat="no_onward"),),
    (AttachCaveat(caveat="department_only"),),
    (AttachCaveat(caveat="unheard_of"),),
    (Unreadable(),),
]
FIELDS = ["/title", "/parts", "/parts/0", "/parts/0/text", "/part"]
ASKED = [*FIELDS * 5, "", "title", "/parts/~2", "/parts/00", "/parts/0/", "/parts/1", "/~0"]
"""Fields that somebody may ask for, some of which are none."""

DEEP = bool(os.environ.get("DEEP_PROPERTIES"))
PER_TEST = settings(max_examples=100_000 if DEEP else 200, deadline=None, derandomize=not DEEP, database=None)
"""In the ordinary run the same examples each time, so that a failure is somebody's change and not chance."""

_CHANCE = Random(None if DEEP else 20170101)
_POOL = 20_000 if DEEP else 400


def _some(values: list[Any], most: int, least: int = 0) -> tuple[Any, ...]:
    return tuple(_CHANCE.sample(values, _CHANCE.randint(least, most)))


def _moment() -> datetime:
    return NOON + timedelta(hours=_CHANCE.choice([-2, -1, 0, 1, 2]))


def _marking(owner: str | None = None, codes: list[str] = CAVEATS) -> Marking:
    return marking(
        owner or _CHANCE.choice(AGENCIES),
        custodian=_CHANCE.choice(AGENCIES),
        source_system=_CHANCE.choice([*PARTNERS, None]),
        agreement=_CHANCE.choice(["A-1", "A-2", None]),
        source_reference=_CHANCE.choice(["r1", "r2", None]),
        asked_by=_CHANCE.choice(["ICE-HSI", "ICE-HSI", "ICE-ERO"]),
        case_id=_CHANCE.choice(CASES),
        caveats=_some(codes, 2),
        at=_moment(),
        selectors=_CHANCE.choice([None, _some(FIELDS, 2, 1), _some(FIELDS, 1, 1)]),
    )


def _lineage() -> Lineage:
    codes = _CHANCE.choice([MILD, MILD, CAVEATS])
    return Lineage(
        markings=tuple(_marking(codes=codes) for _ in range(_CHANCE.randint(1, 3))),
        roots=frozenset(_some(ITEMS, 2)),
        expires_at=_CHANCE.choice([None, None, _moment()]),
    )


def _scope() -> Scope:
    members = {
        "items": _some(ITEMS, 2),
        "case_id": _CHANCE.choice([None, None, *CASES]),
        "partner": _CHANCE.choice([None, None, *PARTNERS]),
        "kind": _CHANCE.choice([None, None, *ItemKind]),
    }
    return Scope(**members) if any(members.values()) else Scope(items=(ITEM,))


def _grant(owner: str | None = None) -> Grant:
    return grant(
        owner or _CHANCE.choice(AGENCIES),
        id=GrantId(f"gra_{_CHANCE.getrandbits(40)}"),
        status=_CHANCE.choice([GrantStatus.ACTIVE] * 8 + list(GrantStatus)),
        uses=_CHANCE.randint(0, 3),
        recipients=_some(AGENCIES, 3, 1),
        include_components=_CHANCE.random() < 0.5,
        action=_CHANCE.choice(list(Action)),
        purposes=_some(PURPOSES, 3, 1),
        include_subpurposes=_CHANCE.random() < 0.5,
        scope=_scope(),
        fields=_CHANCE.choice([None, None, _some(FIELDS, 3, 1)]),
        valid_from=NOON + timedelta(hours=_CHANCE.choice([-2, -2, 0, 1])),
        valid_until=NOON + timedelta(hours=_CHANCE.choice([0, 1, 5])),
        max_uses=_CHANCE.choice([None, 1, 2, 3]),
        onward=(onward := _CHANCE.random() < 0.5),
        max_hops=_CHANCE.choice([None, 1, 2, 5]) if onward else None,
        caveats=_some(MILD, 2),
        duties=_CHANCE.choice([(), (), (), *DUTIES]),
    )


def _question(*odd: str) -> Question:
    return Question.model_construct(
        item=_CHANCE.choice(ITEMS),
        kind=_CHANCE.choice(list(ItemKind)),
        asker=_CHANCE.choice(["ICE-HSI", "ICE-HSI", "ICE-ERO", *odd]),
        recipient=_CHANCE.choice([*AGENCIES, *odd]),
        action=_CHANCE.choice(list(Action)),
        purpose=_CHANCE.choice([*PURPOSES, *odd]),
        case_id=_CHANCE.choice([None, *CASES]),
        fields=_CHANCE.choice([None, _some(ASKED, 1, 1), _some(ASKED, 3, 1)]),
        resolved=_CHANCE.random() < 0.9,
    )


def helpful(question: Question, owner: str, **changes: Any) -> Grant:
    """A grant of *owner* for exactly this question."""
    members: dict[str, Any] = {
        "item": question.item,
        "recipients": (question.recipient,),
        "action": question.action,
        "purposes": (question.purpose,),
        "onward": True,
    }
    return grant(owner, **(members | changes))


def _situation() -> tuple[Question, Lineage, tuple[Grant, ...]]:
    question, lineage = _question(), _lineage()
    held = [_grant() for _ in range(_CHANCE.randint(0, 3))]
    if _CHANCE.random() < 0.7:
        held += [helpful(question, owner) for owner in sorted(lineage.owners - {question.recipient})]
    return question, lineage, tuple(held)


def _request() -> Request:
    owner = _CHANCE.choice(["CBP", "DOS"])
    return Request(
        owner=owner,
        parts=tuple(_marking(owner) for _ in range(_CHANCE.randint(1, 2))),
        item=_CHANCE.choice(ITEMS),
        kind=_CHANCE.choice(list(ItemKind)),
        recipient=_CHANCE.choice(AGENCIES),
        action=_CHANCE.choice(list(Action)),
        purpose=_CHANCE.choice(PURPOSES),
        case_id=_CHANCE.choice([None, *CASES]),
        fields=_CHANCE.choice([None, _some(FIELDS, 3, 1)]),
        hops=_CHANCE.choice([0, 0, 1, 1, 2, 3, 5, 6]),
    )


def _pair() -> tuple[Grant, Request]:
    """Often the grant is made for the question and then changed in one member, or in none."""
    request, random = _request(), _grant(_CHANCE.choice(["CBP", "DOS"]))
    if _CHANCE.random() < 0.3:
        return random, request
    fitting = grant(
        request.owner,
        item=request.item,
        recipients=(request.recipient,),
        action=request.action,
        purposes=(request.purpose,),
        onward=True,
        max_hops=5,
        fields=request.fields,
    )
    member = _CHANCE.choice([None, *type(random.terms).model_fields])
    if member is None:
        return fitting, request
    held = changed(fitting, **{member: getattr(random.terms, member)})
    return held.model_copy(update={"status": random.status, "uses": random.uses}), request


MARKINGS = [_marking() for _ in range(_POOL)]
LINEAGES = [_lineage() for _ in range(_POOL)]
GRANTS = [_grant() for _ in range(_POOL)]
SITUATIONS = [_situation() for _ in range(_POOL)]
PAIRS = [_pair() for _ in range(2 * _POOL)]
HOSTILE_QUESTIONS = [_question(*HOSTILE) for _ in range(_POOL)]

markings = st.sampled_from(MARKINGS)
lineages = st.sampled_from(LINEAGES)
grants = st.sampled_from(GRANTS)
situations = st.sampled_from(SITUATIONS)
pairs = st.sampled_from(PAIRS)
hostile_questions = st.sampled_from(HOSTILE_QUESTIONS)


def facts(lineage: Lineage, held: tuple[Grant, ...], **changes: Any) -> Facts:
    """What the gate would be given at noon."""
    members: dict[str, Any] = {
        "lineage": lineage,
        "grants": held,
        "past_grants": (),
        "near_grants": None,
        "already_counted": frozenset(),
        "notices": (),
        "placed_since": dict.fromkeys(TREES.agencies),
        "unreviewed": (),
        "disputed": (),
        "verified": frozenset(),
        "unconfirmed": frozenset(),
        "trees": TREES,
        "caveats": BUNDLE.caveats,
        "now": NOON,
    }
    return Facts(**(members | changes))


def caught(property_test: Any, examples: Iterable[Any]) -> bool:
    """Whether a property fails on one of the examples. For traitors: plain, without shrinking what was found."""
    for example in examples:
        try:
            property_test.hypothesis.inner_test(*(example if len(example) == 1 else (example,)))
        except UnsatisfiedAssumption:
            continue
        except AssertionError:
            return True
    return False
