"""Which hosts are this machine: only to them may anything go unencrypted."""

import ipaddress


def is_this_machine(host: str) -> bool:
    """Whether the host of a URL, with or without the brackets of IPv6, is this machine whatever a resolver says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
