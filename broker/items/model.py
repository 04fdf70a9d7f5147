"""An item without its content, and the content's shape."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from broker.kernel.ids import AgencyId, CaseId, ItemId, PurposeId, SearchId, Subject
from broker.kernel.words import ItemKind
from broker.provenance.lineage import Lineage

Content = dict[str, Any]
"""JSON. A candidate list holds `candidates`, everything derived holds `title` and `parts`."""


class Source(BaseModel):
    """One source that a part uses: an item, and if given a JSON Pointer (RFC 6901) into its content."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    item: ItemId
    selector: str | None = None


class Item(BaseModel):
    """All that is known of an item except what it says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: ItemId
    kind: ItemKind
    case_id: CaseId
    purpose: PurposeId | None
    """For which its sources were obtained; None when it has none."""
    author: Subject
    component: AgencyId
    """The author's component: custodian of what it wrote from others' items, and owner only of its own words."""
    search_id: SearchId | None
    candidates: int
    """How many candidates a list holds; 0 for everything else."""
    created_at: AwareDatetime
    lineage: Lineage
