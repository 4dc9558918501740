"""Our processes on a stack of their own, which are killed and started again."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from devstack.testing import GatewayConfig, Reaper, Servers


@dataclass
class Running:
    """One of our processes; `kind` is its command, and `arguments` follow it."""

    kind: str
    process: subprocess.Popen[bytes]
    arguments: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None


class Processes:
    """Processes of one program, on running servers. Each leads a group, as under a supervisor.

    `program` is a module with the command line; `settings` are the environment of all processes.
    """

    def __init__(
        self, root: Path, servers: Servers, logs: Path, *, program: str, settings: Mapping[str, str]
    ) -> None:
        self.logs, self.servers = logs, servers
        self.processes: list[Running] = []
        self._root, self._program = root, program
        self._settings = {**environment(root), **settings}
        self._reaper = Reaper()
        self._started = 0

    def start(self, kind: str, *arguments: str, **settings: str) -> Running:
        """Start a process: a command of the program, its arguments, more settings."""
        self._started += 1
        with (self.logs / f"{self._started:03}-{kind}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", self._program, kind, *arguments],
                cwd=self._root,
                env={**self._settings, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.watch(process.pid, signal.SIGKILL)
        self.processes.append(Running(kind, process, arguments, settings))
        return self.processes[-1]

    def replace_ended(self) -> int:
        """Start again what has ended, as a supervisor does; return how many there were."""
        ended = [one for one in self.processes if one.ended]
        for one in ended:
            self._forget(one)
            self.start(one.kind, *one.arguments, **one.settings)
        return len(ended)

    def kill(self, one: Running) -> None:
        """Kill the whole group of a process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()

    def stop(self, kind: str) -> None:
        """End the processes of a kind, and start none in their place."""
        for one in [one for one in self.processes if one.kind == kind]:
            self.kill(one)
            self._forget(one)

    def close(self) -> None:
        """End all processes."""
        for kind in sorted({one.kind for one in self.processes}):
            self.stop(kind)
        self._reaper.finish()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as superuser, over a connection of its own."""
        connection = await asyncpg.connect(self.servers.postgres_url)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    def _forget(self, one: Running) -> None:
        self.processes.remove(one)
        self._reaper.forget(one.process.pid)


def environment(root: Path) -> dict[str, str]:
    """Return the environment of programs of this checkout, without the caller's settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "platform")]),
        "ENV_FILE": os.devnull,
    }


def addresses(servers: Servers, supabase_url: str, config: GatewayConfig) -> dict[str, str]:
    """Return the settings that name the servers of a stack."""
    cache, broker = urlsplit(servers.cache_url), urlsplit(servers.broker_url)
    return {
        "SUPABASE_URL": supabase_url,
        "SUPABASE_KEY": config.anon_key,
        "SUPABASE_SERVICE_KEY": config.service_key,
        "JWT_SECRET": config.jwt_secret,
        "REDIS_HOST": str(cache.hostname),
        "REDIS_PORT": str(cache.port),
        "BROKER_HOST": str(broker.hostname),
        "BROKER_PORT": str(broker.port),
    }
