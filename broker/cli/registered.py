"""Which partners the policies name, for commands that need no more than that."""

from broker.kernel.errors import ConfigurationError
from broker.settings import Settings


def registered_partners(settings: Settings) -> tuple[str, ...]:
    """Names of the partners in the register. Raises ConfigurationError if the policies cannot be read."""
    from broker.policy.faults import PolicyInvalid
    from broker.policy.source import load

    try:
        return tuple(entry.id for entry in load(settings.policies).partners)
    except PolicyInvalid as invalid:
        first = invalid.faults[0]
        raise ConfigurationError(
            f"the policies in {settings.policies} cannot be used: {first.file}:{first.line}: {first.reason} "
            "(broker policy check shows all faults)"
        ) from invalid
