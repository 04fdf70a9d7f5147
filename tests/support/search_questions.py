"""A question about a search that is in order, each word of it open to be changed by a test."""

from typing import Any

from broker.policy.search_explanation import IN_ORDER
from broker.policy.search_question import SearchQuestion


def search(**words: Any) -> SearchQuestion:
    """ICE-HSI asks DOS, with an articulable lead."""
    base = {**IN_ORDER, "partner": "dos-ccd", "requester": "ICE-HSI", "evidentiary_basis": "articulable_lead"}
    return SearchQuestion.model_validate(base | words, strict=False)
