"""Types of settings that are lists, separated by commas or spaces."""

from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, IPvAnyNetwork
from pydantic_settings import NoDecode

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address is this machine."""
    name = (host or "").strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


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


def _origin(value: str) -> str:
    if value == "*":
        return value
    if value.lower() == "null":
        raise ValueError("must not be null: anyone's sandboxed page has that origin")
    try:
        return _as_browsers_write(value)
    except ValueError:  # urlsplit's own would show the value
        raise ValueError("must be like: https://app.example.com, without path or *") from None


def _as_browsers_write(value: str) -> str:
    found = urlsplit(value)
    rest = (found.path.removeprefix("/"), found.query, found.fragment)
    if not found.scheme or not found.hostname or any(rest) or not value.isascii():
        raise ValueError
    if any(character in value for character in "*@?#"):
        raise ValueError
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    default = found.port is None or found.port == _DEFAULT_PORTS.get(found.scheme)
    return f"{found.scheme}://{host}" if default else f"{found.scheme}://{host}:{found.port}"


Words = Annotated[list[str], NoDecode, BeforeValidator(_words)]

Networks = Annotated[
    list[Annotated[IPvAnyNetwork, AfterValidator(_network)]], NoDecode, BeforeValidator(_words)
]
"""Networks as CIDRs (10.0.0.0/8, 2001:db8::/32)."""

Addresses = Annotated[
    list[Annotated[str, AfterValidator(_address)]], NoDecode, BeforeValidator(_words)
]
"""Hosts with their ports (one.example:26379, [2001:db8::1]:26379)."""

Origins = Annotated[
    list[Annotated[str, AfterValidator(_origin)]], NoDecode, BeforeValidator(_words)
]
"""Origins of pages as browsers send them (https://app.example.com), or *."""
