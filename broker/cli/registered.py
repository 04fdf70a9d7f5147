"""Which partners the policies name, for commands that need no more than that."""

from typing import TYPE_CHECKING

from broker.kernel.errors import ConfigurationError
from broker.settings import Settings

if TYPE_CHECKING:
    from broker.policy.bundle import PolicyBundle


def registered_partners(settings: Settings) -> tuple[str, ...]:
    """Names of the partners in the register. Raises ConfigurationError if the policies cannot be read."""
    return _names(_read(settings, servable=False))


def registered_agencies(settings: Settings) -> tuple[str, ...]:
    """Names of the agencies in the register. Raises ConfigurationError if the policies cannot be read."""
    return tuple(_read(settings, servable=False).agencies)


def refuse_unservable_partners(settings: Settings) -> None:
    """Raises ConfigurationError for a partner without an adapter here, and for one that only BROKER_PARTNER_URLS names.

    For commands that somebody starts. What they start again later must not fail for an entry taken out meanwhile.
    """
    known = _names(_read(settings, servable=True))
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
