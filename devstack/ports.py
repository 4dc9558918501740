"""The port of each server of the stack."""

import contextlib
import errno
import json
import random
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from devstack.errors import StackError

DEFAULT_API_PORT = 8000
# Below the systems' range of ports for outgoing connections: one of those could otherwise take a
# port between our choice and the server's start.
_FREE = range(20000, 30000)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one stack on 127.0.0.1; the defaults are the Supabase CLI's."""

    api: int = DEFAULT_API_PORT
    gateway: int = 54321
    postgres: int = 54322
    inbox: int = 54324
    smtp: int = 54325
    cache: int = 54331
    broker: int = 54332

    @classmethod
    def choose(cls, api: int, memory: Path) -> Self:
        """Return the default ports for the default API port, otherwise free ones.

        The free ports are stored in the file `memory`: the next start uses the same ones if they
        are still free.
        """
        if api == DEFAULT_API_PORT:
            return cls()
        known: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            known = json.loads(memory.read_text())
        chosen: dict[str, int] = {"api": api}
        for field in fields(cls)[1:]:
            port = known.get(field.name)
            if not (isinstance(port, int) and port not in chosen.values() and is_free(port)):
                port = free_port(besides=set(chosen.values()))
            chosen[field.name] = port
        memory.write_text(json.dumps(chosen))
        return cls(**chosen)

    def require_free(self, wanted: set[str]) -> None:
        """Raise StackError for the first of these servers whose port is taken."""
        for name, port in asdict(self).items():
            if name in wanted and not is_free(port):
                raise StackError(
                    f"Port {port} is taken, and {_WANTS[name]} wants it: stop what listens there, "
                    f"or start the stack elsewhere: ./app up --port {_another(self.api)}"
                )


_WANTS = {
    "api": "the API",
    "gateway": "the local Supabase (gateway)",
    "postgres": "the local database (PostgreSQL)",
    "inbox": "the mail inbox",
    "smtp": "the mail inbox's SMTP server",
    "cache": "the cache (Valkey)",
    "broker": "the broker (Valkey)",
}


def _another(api: int) -> int:
    candidates = (port for port in range(api + 1, 65536) if is_free(port))
    return next(candidates, DEFAULT_API_PORT + 1)


def free_port(besides: set[int] | None = None) -> int:
    """Return a free port of 127.0.0.1 that is not in `besides`."""
    for port in random.sample(_FREE, 1000):
        if port not in (besides or ()) and is_free(port):
            return port
    raise StackError(f"No free port was found between {_FREE.start} and {_FREE.stop}.")


def is_free(port: int) -> bool:
    """Return whether a server can listen on this port of 127.0.0.1.

    Raises StackError for a port that this user may not use at all.
    """
    with socket.socket() as probe:
        # On some systems a server on all addresses does not prevent another one on this address.
        probe.settimeout(0.2)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise StackError(
                    f"This user may not listen on port {port}: choose one above 1024 with --port."
                ) from None
            return False
    return True
