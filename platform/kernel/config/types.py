"""Types of settings: hosts, addresses, and lists separated by commas or spaces."""

import json
import os
import re
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, HttpUrl, IPvAnyNetwork
from pydantic_settings import NoDecode

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PARTS: Final = re.compile(r"/(rest|auth)/v1/?\s*$")
_DASHBOARDS: Final = frozenset({"supabase.com", "www.supabase.com", "app.supabase.com"})


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address is this machine."""
    name = (host or "").strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.startswith("["):  # a JSON list, unless it is an IPv6 address
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value.replace(",", " ").split()


def _host(value: str) -> str:
    name = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        ip_address(name)
    except ValueError:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "must be a host name or an address alone, like redis.example.com: the port, the "
                "user, the password and TLS are settings of their own"
            ) from None
    return name


def _allowed_host(value: str) -> str:
    name = value.lower().removeprefix("*.")
    try:
        if isinstance(ip_address(name.strip("[]")), IPv6Address):
            return f"[{name.strip('[]')}]"
    except ValueError:
        pass
    name = name.partition(":")[0] if _PORT.fullmatch(name.partition(":")[2]) else name
    if name != "*" and not _NAME.fullmatch(name):
        raise ValueError(
            "must be like api.example.com or *.example.com: no scheme, no path, other letters as "
            "xn--… (punycode)"
        )
    return f"*.{name}" if value.startswith("*.") else name


def _base(url: HttpUrl) -> HttpUrl:
    if url.query is not None or url.fragment is not None or url.username or url.password:
        raise ValueError("must have no user, no ? and no #")
    return url


def _without_parts(value: object) -> object:
    """Take off the path of a part: the dashboard shows such addresses, too."""
    if not isinstance(value, str):
        return value
    return _PARTS.sub("", value)


def _project(url: HttpUrl) -> HttpUrl:
    host = url.host or ""
    if host in _DASHBOARDS or (host.startswith("db.") and host.endswith(".supabase.co")):
        raise ValueError(
            "must be the address of the project's API, like https://your-project.supabase.co: not "
            "the dashboard's, nor the database's"
        )
    return url


def _writable(value: Path) -> Path:
    if not value.parent.is_dir() or not os.access(value.parent, os.W_OK):
        raise ValueError("must be in a folder that exists and can be written")
    return value


def upper(value: object) -> object:
    """Return a text in upper case."""
    return value.upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    """Return a text in lower case."""
    return value.lower() if isinstance(value, str) else value


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


Host = Annotated[str, AfterValidator(_host)]
"""A host name or an IP address, without brackets."""

HostNames = Annotated[
    list[Annotated[str, AfterValidator(_allowed_host)]], NoDecode, BeforeValidator(_words)
]
"""Host names (api.example.com), *.example.com for all below it, or *."""

BaseUrl = Annotated[HttpUrl, AfterValidator(_base)]
"""A URL that paths are added to."""

ProjectUrl = Annotated[
    HttpUrl, BeforeValidator(_without_parts), AfterValidator(_base), AfterValidator(_project)
]
"""The URL of a Supabase project."""

WritableFile = Annotated[Path, AfterValidator(_writable)]
"""A file in a folder that can be written."""

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
