"""What the content of an item is sealed to: the item with its markings, so that the two cannot be parted. Pure."""

import hashlib
import json
from datetime import UTC, datetime

from broker.items.model import Item


def binding(item: Item) -> str:
    """The item's id and a hash of all that a decision about it rests on, as it was when the item was made.

    Who takes an owner off an item in the database, or changes its kind, its author or a caveat, is left with a content
    that does not open. The roots stand apart and are not in it; see ``broker.items.reader``.
    """
    lineage = item.lineage
    by_place = any(one.selectors is not None for one in lineage.markings)
    bound = [
        # The form of this list; another one needs another number, and the old one still to be read. Form 2 says of each
        # marking which places it is about; an item without any is bound as it was before there were places.
        2 if by_place else 1,
        item.id,
        item.kind.value,
        item.case_id,
        item.purpose,
        item.author,
        item.component,
        item.search_id,
        item.candidates,
        _moment(item.created_at),
        None if lineage.expires_at is None else _moment(lineage.expires_at),
        [
            [
                *(one.owner, one.custodian, one.source_system, one.source_reference, one.agreement),
                *(list(one.caveats), one.asked_by, one.case_id, _moment(one.at)),
                *([one.selectors] if by_place else []),
            ]
            for one in lineage.markings
        ],
    ]
    text = json.dumps(bound, ensure_ascii=True, separators=(",", ":"))
    return f"{item.id} {hashlib.sha256(text.encode()).hexdigest()}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
