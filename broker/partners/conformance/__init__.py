"""Whether an adapter may plug in: a suite to be run against it, over real HTTP, beside its own stand-in.

Give each of `CHECKS` a `Subject`, or call `examine` for all faults at once::

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
    def test_conforms(check, subject):
        asyncio.run(check(subject))

It knows no protocol: it watches what the adapter sends and receives, and puts hostile partners in the stand-in's
place. The stand-in must take the key of `Subject.secret`, know the gallery, find somebody for one probe and
nobody for the other, and give its answers at once or to a poll.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from broker.partners.conformance import answers, calls
from broker.partners.conformance.trial import NotConforming, Subject

__all__ = ["CHECKS", "Check", "NotConforming", "Subject", "examine"]

Check = Callable[[Subject], Awaitable[None]]

CHECKS: Final[tuple[Check, ...]] = (
    answers.finds_a_hit,
    answers.says_no_hit,
    answers.invents_no_owner,
    answers.types_refusals,
    answers.types_garbage,
    answers.types_cut_replies,
    answers.survives_hostile_partners,
    answers.lets_wire_failures_pass,
    answers.reads_callbacks_strictly,
    calls.carries_the_transaction_id,
    calls.repeats_unchanged,
    calls.carries_the_probe,
    calls.keeps_no_state,
    calls.follows_no_redirect,
    calls.stays_below_its_base,
    calls.does_not_block,
)


async def examine(subject: Subject) -> dict[str, str]:
    """All faults, by the name of the check; an empty answer means that the adapter may plug in."""
    faults: dict[str, str] = {}
    for check in CHECKS:
        try:
            await check(subject)
        except NotConforming as fault:
            faults[check.__name__] = str(fault)
    return faults
