"""Whether this installation can serve a policy: the plug of each partner has to be installed here."""

from broker.kernel.errors import ConfigurationError
from broker.partners.registry import installed
from broker.policy.bundle import PolicyBundle
from broker.policy.faults import Faults


def refuse_unservable(bundle: PolicyBundle) -> None:
    """Raises PolicyInvalid naming each partner, at its line of the register, whose adapter cannot be had here."""
    faults = Faults()
    for entry in bundle.partners:
        try:
            installed(entry.adapter)
        except ConfigurationError as missing:
            place = bundle.partner_rules[entry.id]
            faults.add(place.file, place.line, f"{entry.id!r}: {missing.detail}")
    faults.refuse_any()
