"""A separate stack for relays, and what it has counted."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg
from redis.asyncio import Redis

from bench.errors import BenchError
from bench.processes import addresses, environment
from bench.system import migrated
from devstack import PYTHON, Program, http_answers
from devstack.testing import GatewayConfig, GatewayThread, Mailbox, Servers, free_port, start_smtp

_PATIENCE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.1
# A published post is two events: one drops cached reads, the other is a job.
_PUT: Final = """
insert into outbox.events (topic, items)
select topic, items from generate_series(1, $1::integer / 2), lateral (
  select jsonb_build_object('post_id', gen_random_uuid(), 'author_id', gen_random_uuid()) as post
) one, lateral (values
  ('post_changed', jsonb_build_array(post - 'author_id')),
  ('post_published', jsonb_build_array(post))
) as event (topic, items)
"""
_WAITING: Final = "select (public.operations() ->> 'outbox_pending')::integer"
_TRANSACTIONS: Final = """
select xact_commit from pg_stat_database where datname = current_database()
"""


class System:
    """The stack: `sql` is a superuser's connection, `url` the API's once it runs."""

    def __init__(
        self,
        root: Path,
        servers: Servers,
        gateway: GatewayThread,
        *,
        smtp_port: int,
        sql: asyncpg.Connection,
        folder: Path,
    ) -> None:
        self.sql, self.gateway, self.url = sql, gateway, ""
        self._root, self._servers, self._smtp_port = root, servers, smtp_port
        self._folder = folder
        self._redis = [Redis.from_url(one) for one in (servers.cache_url, servers.broker_url)]
        self._started = 0

    async def relays(self, number: int) -> list[int]:
        """Start relays of the application; return their process ids when they work."""
        return [await self._start("relay") for _ in range(number)]

    async def worker(self) -> None:
        """Start a worker of the application."""
        await self._start("worker")

    async def api(self) -> None:
        """Start the application's API."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        answers = partial(http_answers, f"{self.url}/")
        await asyncio.to_thread(self._run, ("api", "--port", str(port)), answers, {})

    async def put(self, events: int) -> None:
        """Let this many events wait, as of published posts."""
        await self.sql.execute(_PUT, events)

    async def drained(self) -> None:
        """Wait until no event waits. Raises BenchError if that takes too long."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while await self.sql.fetchval(_WAITING):  # noqa: ASYNC110 - another process drains
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise BenchError("The relays did not deliver the events: no figures.") from None

    async def counted(self) -> tuple[int, int]:
        """Return how many transactions the database, and commands both Redis have had."""
        infos: list[Any] = [await one.info("stats") for one in self._redis]
        commands = sum(info["total_commands_processed"] for info in infos)
        return await self.sql.fetchval(_TRANSACTIONS), commands

    async def aclose(self) -> None:
        """Close our own connections."""
        for one in self._redis:
            await one.aclose()

    async def _start(self, kind: str) -> int:
        self._started += 1
        alive = self._folder / f"{kind}{self._started}.alive"
        return await asyncio.to_thread(
            self._run, (kind,), alive.exists, {"HEARTBEAT_FILE": str(alive)}
        )

    def _run(self, command: tuple[str, ...], ready: Any, more: dict[str, str]) -> int:
        program = Program(
            name=f"{command[0]}{self._started}",
            argv=(*PYTHON, "cli", *command),
            ready=ready,
            folder=self._root,
            environment=lambda: {**self._environment(), **more},
        )
        return self._servers.run(program)

    def _environment(self) -> dict[str, str]:
        return {
            **environment(self._root),
            **addresses(self._servers, self.gateway.url, self.gateway.config),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self._smtp_port),
            "SMTP_SECURITY": "none",
            "WORKER_CONCURRENCY": "1",
            "LOG_LEVEL": "INFO",
        }


@contextlib.asynccontextmanager
async def running(root: Path) -> AsyncIterator[System]:
    """Run a stack without processes of ours; nothing of it remains.

    Raises StackError if a server does not start.
    """
    mailbox = Mailbox()
    with tempfile.TemporaryDirectory() as folder, Servers() as servers:
        await migrated(servers.postgres_url, root / "supabase" / "migrations")
        config = GatewayConfig(
            database_url=servers.postgres_url, public_url="http://127.0.0.1", bcrypt_rounds=4
        )
        smtp = await start_smtp(0, mailbox.add)
        sql = await asyncpg.connect(servers.postgres_url)
        with GatewayThread(config) as gateway:
            port = smtp.sockets[0].getsockname()[1]
            system = System(root, servers, gateway, smtp_port=port, sql=sql, folder=Path(folder))
            try:
                yield system
            finally:
                await system.aclose()
        await sql.close()
        smtp.close()
