"""The soak's stack: servers, a gateway, and the processes that are killed and started again."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from bench.system import migrated
from devstack.testing import GatewayConfig, GatewayThread, Reaper, Servers

_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_RECENT_PIDS: Final = """
select distinct pid from public.soak_starts where at > now() - interval '10 seconds'
"""


@dataclass
class Running:
    """One of our processes; `kind` is its command."""

    kind: str
    process: subprocess.Popen[bytes]

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None


class Stack:
    """Everything that the soak runs. Each process leads a group, as under a supervisor."""

    def __init__(self, root: Path, servers: Servers, gateway: GatewayThread, logs: Path) -> None:
        self.logs = logs
        self.processes: list[Running] = []
        self._root, self._servers, self._gateway = root, servers, gateway
        self._reaper = Reaper()
        self._started = 0

    def start(self, kind: str) -> None:
        """Start a worker, relay or beat."""
        self._started += 1
        with (self.logs / f"{self._started:03}-{kind}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "bench.soak.entry", kind],
                cwd=self._root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.watch(process.pid, signal.SIGKILL)
        self.processes.append(Running(kind, process))

    def replace_ended(self) -> int:
        """Start again what has ended, as a supervisor does; return how many there were."""
        ended = [one for one in self.processes if one.ended]
        for one in ended:
            self.processes.remove(one)
            self._reaper.forget(one.process.pid)
            self.start(one.kind)
        return len(ended)

    def kill(self, kind: str, dice: random.Random) -> None:
        """Kill the whole group of a random process of this kind, and start another."""
        one = dice.choice([one for one in self.processes if one.kind == kind])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.wait()
        self.replace_ended()

    async def kill_child(self, dice: random.Random) -> bool:
        """Kill a process of a worker that has just begun a job; return False if there is none."""
        groups = {one.process.pid for one in self.processes if one.kind == "worker"}
        children = [
            row["pid"]
            for row in await self.fetch(_RECENT_PIDS)
            if row["pid"] not in groups and _group_of(row["pid"]) in groups
        ]
        if not children:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(sorted(children)), signal.SIGKILL)
        return True

    async def crash(self, server: str) -> None:
        """Crash `broker` or `postgres`; return when it is back."""
        await asyncio.to_thread(self._servers.crash, server)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as superuser, over a connection of its own."""
        connection = await asyncpg.connect(self._servers.postgres_url)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def execute(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Execute statements in one transaction, as superuser."""
        connection = await asyncpg.connect(self._servers.postgres_url)
        try:
            async with connection.transaction():
                for query, arguments in statements:
                    await connection.execute(query, *arguments)
        finally:
            await connection.close()

    def stop(self, kind: str) -> None:
        """End the processes of a kind, and start none in their place."""
        for one in [one for one in self.processes if one.kind == kind]:
            self.processes.remove(one)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
            self._reaper.forget(one.process.pid)

    def close(self) -> None:
        """End all processes."""
        for kind in ("beat", "relay", "worker"):
            self.stop(kind)
        self._reaper.finish()

    def _environment(self) -> dict[str, str]:
        config, broker = self._gateway.config, urlsplit(self._servers.broker_url)
        cache = urlsplit(self._servers.cache_url)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join([str(self._root), str(self._root / "platform")]),
            "ENV_FILE": os.devnull,
            "SUPABASE_URL": self._gateway.url,
            "SUPABASE_KEY": config.anon_key,
            "SUPABASE_SERVICE_KEY": config.service_key,
            "JWT_SECRET": config.jwt_secret,
            "REDIS_HOST": str(cache.hostname),
            "REDIS_PORT": str(cache.port),
            "BROKER_HOST": str(broker.hostname),
            "BROKER_PORT": str(broker.port),
            "WORKER_CONCURRENCY": "3",
            "WORKER_GRACE_SECONDS": "1",
            "VISIBILITY_TIMEOUT_SECONDS": "100",  # the least that the jobs' limits allow
            "LOG_LEVEL": "INFO",
        }


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


@contextlib.contextmanager
def running(root: Path) -> Iterator[Stack]:
    """Run a stack whose PostgreSQL keeps its data in a crash; nothing of it remains but the logs.

    Raises StackError if a server does not start.
    """
    with Servers(durable=True) as servers:
        schema = _SCHEMA.read_text(encoding="utf-8")
        asyncio.run(migrated(servers.postgres_url, root / "supabase" / "migrations", schema))
        config = GatewayConfig(database_url=servers.postgres_url, public_url="http://127.0.0.1")
        with GatewayThread(config) as gateway:
            stack = Stack(root, servers, gateway, Path(tempfile.mkdtemp(prefix="soak-")))
            try:
                yield stack
            finally:
                stack.close()
