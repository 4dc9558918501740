"""Who calls: the address of the client, and not one that it invents."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

_REMEMBERED: Final = 10_000
_SUBNET_BITS: Final = 64  # what one subscriber has of IPv6 at least (RFC 6177)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """An address as it is passed on, and `subject`, by which it is counted.

    One subscriber has a whole IPv6 network and may take a new address for each request: the
    subject is its /64.
    """

    address: str | None
    subject: str
    trusted: bool = False


_UNKNOWN: Final = ClientAddress(None, "unknown")
_HOPS: Final = 32  # proxies in a row; what stands left of that many is not looked at
_ENTRY: Final = 100  # bytes, more than any address with port and blanks has
_FORWARDED_FOR: Final = b"x-forwarded-for"


class ClientAddresses:
    """Finds the client's address behind the proxies that are trusted.

    The peer of the connection says it, unless it is a trusted proxy: then the right-most entry of
    X-Forwarded-For that is no trusted proxy itself. What stands left of that the client may have
    written. An entry that is no address ends the search at the proxy that passed it on.
    """

    def __init__(self, trusted_proxies: Iterable[Network] = ()) -> None:
        trusted = tuple(trusted_proxies)

        @lru_cache(_REMEMBERED)
        def read(text: str) -> ClientAddress | None:
            address = _parse(text)
            if address is None:
                return None
            is_trusted = any(address in network for network in trusted)
            return ClientAddress(str(address), _subject(address), is_trusted)

        self._read = read

    def of(self, scope: Scope) -> ClientAddress:
        """Return the address of the client that sent a request (ASGI scope)."""
        peer = scope.get("client")
        found = self._read(peer[0]) if peer else None
        if found is None:  # a local socket
            return _UNKNOWN
        if found.trusted:
            sent = b",".join(value for name, value in scope["headers"] if name == _FORWARDED_FOR)
            for entry in reversed(sent.rsplit(b",", _HOPS)[-_HOPS:]):
                # What is read is remembered: nothing long.
                text = entry[:_ENTRY].decode("latin-1").strip()
                hop = self._read(text) if len(entry) < _ENTRY else None
                if hop is None:
                    break
                found = hop
                if not found.trusted:
                    break
        return found

    def through_proxy(self, scope: Scope) -> bool:
        """Tell whether a trusted proxy passed a request on (ASGI scope)."""
        peer = scope.get("client")
        found = self._read(peer[0]) if peer else None
        return found is not None and found.trusted


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address, also where a port follows it, as some proxies write."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _subject(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return str(address)
    return str(ip_network((address, _SUBNET_BITS), strict=False))
