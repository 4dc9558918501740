"""The soak's stack: servers, a gateway, and the processes that are killed and started again."""

import asyncio
import contextlib
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg

from bench.processes import Processes, addresses
from bench.system import migrated
from devstack.testing import GatewayConfig, GatewayThread, Servers

_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_RECENT_PIDS: Final = """
select distinct pid from public.soak_starts where at > now() - interval '10 seconds'
"""
_SETTINGS: Final = {
    "WORKER_CONCURRENCY": "3",
    "WORKER_GRACE_SECONDS": "1",
    "VISIBILITY_TIMEOUT_SECONDS": "100",  # the least that the jobs' limits allow
    "LOG_LEVEL": "INFO",
}


class Stack(Processes):
    """Everything that the soak runs."""

    def kill_any(self, kind: str, dice: random.Random) -> None:
        """Kill the whole group of a random process of this kind, and start another."""
        self.kill(dice.choice([one for one in self.processes if one.kind == kind]))
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
        await asyncio.to_thread(self.servers.crash, server)

    async def execute(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Execute statements in one transaction, as superuser."""
        connection = await asyncpg.connect(self.servers.postgres_url)
        try:
            async with connection.transaction():
                for query, arguments in statements:
                    await connection.execute(query, *arguments)
        finally:
            await connection.close()


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
            stack = Stack(
                root,
                servers,
                Path(tempfile.mkdtemp(prefix="soak-")),
                program="bench.soak.entry",
                settings={**addresses(servers, gateway.url, gateway.config), **_SETTINGS},
            )
            try:
                yield stack
            finally:
                stack.close()
