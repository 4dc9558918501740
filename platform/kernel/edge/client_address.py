"""The client's address, which the client cannot forge."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

from kernel.limits.policy import subject_of

_REMEMBERED: Final = 10_000

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """An address as it is passed on, and `subject`, by which requests are counted.

    An IPv6 subscriber has a whole network and may use a new address for each request: the subject
    is the /64.
    """

    address: str | None
    subject: str
    trusted: bool = False


_UNKNOWN: Final = ClientAddress(None, "unknown")
_HOPS: Final = 32  # proxies in a row; entries further left are ignored
_ENTRY: Final = 100  # bytes, more than any address with port and spaces
_FORWARDED_FOR: Final = b"x-forwarded-for"


class ClientAddresses:
    """Finds the client's address behind trusted proxies.

    It is the peer of the connection. If that is a trusted proxy, it is the right-most entry of
    X-Forwarded-For that is not a trusted proxy: the client can forge all entries left of it. An
    entry that is not an address ends the search at the proxy that passed it on.
    """

    def __init__(self, trusted_proxies: Iterable[Network] = ()) -> None:
        trusted = tuple(trusted_proxies)

        @lru_cache(_REMEMBERED)
        def read(text: str) -> ClientAddress | None:
            address = _parse(text)
            if address is None:
                return None
            is_trusted = any(address in network for network in trusted)
            return ClientAddress(str(address), subject_of(str(address)), is_trusted)

        self._read = read

    def of(self, scope: Scope) -> ClientAddress:
        """Return the address of the client that sent a request (ASGI scope)."""
        peer = scope.get("client")
        found = self._read(peer[0]) if peer else None
        if found is None:  # a Unix socket
            return _UNKNOWN
        if found.trusted:
            sent = b",".join(value for name, value in scope["headers"] if name == _FORWARDED_FOR)
            for entry in reversed(sent.rsplit(b",", _HOPS)[-_HOPS:]):
                # The result is cached: keep keys short.
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
    """Return the address; a port may follow it, as some proxies write."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
