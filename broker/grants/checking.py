"""Whether the words of a grant are words of the register. Refused, never repaired. Pure."""

from collections.abc import Collection
from datetime import datetime

from broker.grants.model import Terms
from broker.kernel.errors import Invalid
from broker.kernel.tree import Tree
from broker.kernel.words import Action


def check(terms: Terms, agencies: Tree, purposes: Tree, caveats: Collection[str], now: datetime) -> None:
    """Raises Invalid, saying which member does not fit and what would."""
    if terms.owner not in agencies:
        raise Invalid("owner is not an agency of the register, written exactly", "/owner")
    for n, recipient in enumerate(terms.recipients):
        if recipient not in agencies:
            raise Invalid("a recipient is not an agency of the register, written exactly", f"/recipients/{n}")
    if terms.owner in terms.recipients:
        raise Invalid("the owner needs no permission of its own", "/recipients")
    for n, purpose in enumerate(terms.purposes):
        if purpose not in purposes:
            raise Invalid("a purpose is not in the register, written exactly", f"/purposes/{n}")
    if any(len(set(listed)) != len(listed) for listed in (terms.recipients, terms.purposes, terms.scope.items)):
        raise Invalid("a recipient, purpose or item is named twice", "")
    for n, code in enumerate(terms.caveats):
        if code not in caveats:
            raise Invalid("a caveat is not in the register, so nobody could check it", f"/caveats/{n}")
    for n, field in enumerate(terms.fields or ()):
        if not field.startswith("/") or len(field) > 500:
            raise Invalid("a field is a JSON Pointer, such as /candidates/0/rank", f"/fields/{n}")
    if terms.fields is not None and not terms.fields:
        raise Invalid("fields, when given, name at least one; leave them out for the whole content", "/fields")
    if not terms.valid_from < terms.valid_until:
        raise Invalid("valid_until must be later than valid_from", "/valid_until")
    if not now < terms.valid_until:
        raise Invalid("valid_until has passed already", "/valid_until")
    if terms.max_uses is not None and terms.max_uses < 1:
        raise Invalid("max_uses is 1 or more; leave it out for no limit", "/max_uses")
    if terms.action is Action.VIEW and terms.max_uses is not None:
        raise Invalid("looks are not counted; leave max_uses out", "/max_uses")
