"""Types of settings that are lists, separated by commas or spaces."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, IPvAnyNetwork
from pydantic_settings import NoDecode


def _words(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _network(value: IPvAnyNetwork) -> IPvAnyNetwork:
    if not value.prefixlen:
        raise ValueError("must not include all addresses: any client could then forge its address")
    return value


def host_and_port(value: str) -> tuple[str, int]:
    """Return host and port of `redis.example:26379` or `[2001:db8::1]:26379`. Raises ValueError."""
    found = urlsplit(f"//{value}")
    if not found.hostname or not found.port or found.netloc != value or "@" in value:
        raise ValueError("must be like: host:26379")
    return found.hostname, found.port


def _address(value: str) -> str:
    try:
        host_and_port(value)
    except ValueError:  # urlsplit's own error would show the value
        raise ValueError("must be like: host:26379") from None
    return value


Words = Annotated[list[str], NoDecode, BeforeValidator(_words)]

Networks = Annotated[
    list[Annotated[IPvAnyNetwork, AfterValidator(_network)]], NoDecode, BeforeValidator(_words)
]
"""Networks as CIDRs (10.0.0.0/8, 2001:db8::/32)."""

Addresses = Annotated[
    list[Annotated[str, AfterValidator(_address)]], NoDecode, BeforeValidator(_words)
]
"""Hosts with their ports (one.example:26379, [2001:db8::1]:26379)."""
