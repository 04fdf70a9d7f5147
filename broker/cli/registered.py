"""Which partners the policies name, for commands that need no more than that."""

from typing import TYPE_CHECKING

from broker.cli.connect import has_policy
from broker.kernel.errors import ConfigurationError
from broker.settings import Settings
from broker.storage.embedded import Endpoint

if TYPE_CHECKING:
    from broker.policy.bundle import PolicyBundle


def registered_partners(settings: Settings) -> tuple[str, ...]:
    """Names of the partners in the register. Raises ConfigurationError if the policies cannot be read."""
    return _names(_read(settings, servable=False))


def registered_agencies(settings: Settings) -> tuple[str, ...]:
    """Names of the agencies in the register. Raises ConfigurationError if the policies cannot be read."""
    return tuple(_read(settings, servable=False).agencies)


def refuse_unservable_partners(settings: Settings) -> None:
    """Raises ConfigurationError for a partner without an adapter here, and for one that only BROKER_PARTNER_URLS names."""
    _refuse_addresses_of_nobody(settings, _names(_read(settings, servable=True)))


def require_policy(settings: Settings, endpoint: Endpoint) -> None:
    """Raises ConfigurationError if this host's policies cannot be served and none is in force that could be instead."""
    try:
        _read(settings, servable=True)
    except ConfigurationError:
        if not has_policy(endpoint):
            raise


def refuse_addresses_of_nobody(settings: Settings) -> None:
    """Raises ConfigurationError for a partner that only BROKER_PARTNER_URLS names, before anything is started.

    For processes that somebody starts: what is started again later must not fail for an entry taken out meanwhile.
    Policies that cannot be read are told of when it is known whether others are in force.
    """
    try:
        known = registered_partners(settings)
    except ConfigurationError:
        return
    _refuse_addresses_of_nobody(settings, known)


def _refuse_addresses_of_nobody(settings: Settings, known: tuple[str, ...]) -> None:
    for name in settings.partner_urls:
        if name not in known:
            raise ConfigurationError(
                f"BROKER_PARTNER_URLS names {name!r}, which is not in partners.yaml; known: {', '.join(known)}"
            )


def _names(bundle: "PolicyBundle") -> tuple[str, ...]:
    return tuple(entry.id for entry in bundle.partners)


def _read(settings: Settings, *, servable: bool) -> "PolicyBundle":
    from broker.policy.faults import PolicyInvalid
    from broker.policy.source import load
    from broker.wiring.servable import refuse_unservable

    try:
        bundle = load(settings.policies)
        if servable:
            refuse_unservable(bundle)
    except PolicyInvalid as invalid:
        first = invalid.faults[0]
        raise ConfigurationError(
            f"the policies in {settings.policies} cannot be used: {first.file}:{first.line}: {first.reason} "
            "(broker policy check shows all faults)"
        ) from invalid
    return bundle
