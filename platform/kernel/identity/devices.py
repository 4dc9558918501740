"""The kind of a client, in our own words: nothing that a client sends gets into a mail."""

from ipaddress import ip_network
from typing import Final

# The first that is found counts: most browsers name several.
_PROGRAMS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
    ("okhttp", "an app"),
    ("CFNetwork", "an app"),
    ("Dart/", "an app"),
)
_SYSTEMS: Final = (
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_UNKNOWN: Final = "an unknown program"
_IPV4, _IPV4_BITS, _IPV6_BITS = 4, 24, 48


def device_of(user_agent: str) -> str:
    """Return the kind of device that a User-Agent names, such as "Firefox on Windows".

    It has no version: an update is not another device.
    """
    program = next((name for mark, name in _PROGRAMS if mark in user_agent), _UNKNOWN)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    return program if system is None else f"{program} on {system}"


def network_of(address: str | None) -> str | None:
    """Return the network that an address is in: its /24, of IPv6 its /48."""
    if address is None:
        return None
    bits = _IPV4_BITS if ip_network(address).version == _IPV4 else _IPV6_BITS
    return str(ip_network(f"{address}/{bits}", strict=False))
