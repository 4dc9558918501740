"""A separate whole system for a test: database, gateway, cache, broker, and processes to kill."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

import kit.process
from devstack.testing import GatewayConfig, GatewayThread, Mailbox, free_port
from kit.contract import documented
from kit.people import PASSWORD, new_email
from kit.process import APPLICATION, KIT, PYTHONPATH, ROOT, Program
from kit.servers import make_database, shut
from kit.valkeys import Valkey
from kit.waiting import until


class Process:
    """A process of ours, and its output."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name, self._process, self.log = name, process, log
        self.pid = process.pid

    @property
    def printed(self) -> str:
        """Its output so far."""
        return self.log.read_text()

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal to this process only."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the whole process group, including children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def ended(self, seconds: float = 20) -> int:
        """Wait for its end and return its exit code."""
        return await asyncio.wait_for(self._process.wait(), seconds)


class System:
    """The parts, and operations on them."""

    def __init__(
        self, folder: Path, database_url: str, gateway: GatewayThread, program: Program
    ) -> None:
        self.folder, self.database_url, self.gateway = folder, database_url, gateway
        self.program = program
        self.broker = Valkey(folder / "broker", keeps=True)
        self.cache = Valkey(folder / "cache", keeps=False)
        self.smtp_port = 1
        self._processes: list[Process] = []

    def environment(self, program: Program | None = None, **changes: str) -> dict[str, str]:
        """Return the settings of a process of this system."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": PYTHONPATH,
            "ENV_FILE": os.devnull,
            "SUPABASE_URL": self.gateway.url,
            "SUPABASE_KEY": self.gateway.config.anon_key,
            "SUPABASE_SERVICE_KEY": self.gateway.config.service_key,
            "JWT_SECRET": self.gateway.config.jwt_secret,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.cache.port),
            "BROKER_HOST": "127.0.0.1",
            "BROKER_PORT": str(self.broker.port),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp_port),
            "SMTP_SECURITY": "none",
            "LOG_LEVEL": "INFO",
            **kit.process.raised_limits(program or self.program),
            **changes,
        }

    async def start(
        self, *command: str, ready: bool = True, program: Program | None = None, **changes: str
    ) -> Process:
        """Start a command with these changes of its environment; wait until it works.

        The command is one of this system's program, unless another program is given.
        """
        program = program or self.program
        alive = self.folder / f"{uuid4().hex}.alive"
        log = alive.with_suffix(".log")
        with log.open("wb") as output:
            process = Process(
                command[0],
                await asyncio.create_subprocess_exec(
                    *(*program.argv, *command),
                    cwd=ROOT,
                    env=self.environment(program, HEARTBEAT_FILE=str(alive), **changes),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                ),
                log,
            )
        self._processes.append(process)
        if ready:
            await until(lambda: alive.exists() or not process.running)
            assert process.running, process.printed
        return process

    async def close(self) -> None:
        """End everything, and leave nothing behind."""
        for process in self._processes:
            process.kill()
            await process.ended()
            sys.stdout.write(f"── {process.name}\n{process.printed}\n")  # shown on failure
        self.broker.kill()
        self.cache.kill()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Query the database as superuser."""
        connection = await asyncpg.connect(self.database_url)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Let nobody connect to the database, as if its server were down."""
        connection = await asyncpg.connect(self.database_url)
        try:
            async with shut(connection):
                yield
        finally:
            await connection.close()

    async def author(self) -> tuple[UUID, str]:
        """Sign a user up at Supabase; return id and token."""
        async with httpx.AsyncClient(base_url=self.gateway.url) as client:
            answer = await client.post(
                "/auth/v1/signup",
                json={"email": new_email(), "password": PASSWORD},
                headers={"apikey": self.gateway.config.anon_key},
            )
        session = answer.raise_for_status().json()
        return UUID(session["user"]["id"]), session["access_token"]

    async def publish(self, author_id: UUID, **wish: Any) -> UUID:
        """Store a published thing, past every API; its content tells the slices what to do."""
        rows = await self.fetch(
            "insert into public.things (title, content, published, author_id) "
            "values ('A wish', $1, true, $2) returning id",
            json.dumps(wish),
            author_id,
        )
        return UUID(str(rows[0]["id"]))

    async def effects(self, subject: UUID) -> Counter[str]:
        """Count the effects that jobs of tests recorded for a thing: `start`, `effect`."""
        rows = await self.fetch("select kind from public.effects where subject = $1", str(subject))
        return Counter(row["kind"] for row in rows)

    async def runs(self, job: str, state: str) -> list[asyncpg.Record]:
        """Return the records of a job that are in this state."""
        return await self.fetch("select * from jobs.runs where job = $1 and state = $2", job, state)

    @contextlib.asynccontextmanager
    async def api(self, **changes: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
        """Run `./app api`; yield the process and a client of it."""
        port = free_port()
        process = await self.start("api", "--port", str(port), ready=False, program=None, **changes)
        hooks = {"response": [documented()]} if self.program == APPLICATION else {}
        url = f"http://127.0.0.1:{port}/api/v1"
        async with httpx.AsyncClient(base_url=url, event_hooks=hooks) as client:
            await kit.process.until(client, f"http://127.0.0.1:{port}/", 200)
            yield process, client

    def redeliver(self) -> int:
        """Redeliver unacknowledged messages, as after the visibility timeout; return how many."""
        client = self.broker.client
        unacked: Any = client.hgetall("unacked")
        for tag, content in unacked.items():
            message, _, queue = json.loads(content)
            client.rpush(queue, json.dumps(message))
            client.hdel("unacked", tag)
            client.zrem("unacked_index", tag)
        return len(unacked)

    def tag_version(self, tag: str) -> str | None:
        """Return the version of a tag in the cache."""
        found = self.cache.client.get(f"tag:{tag}")
        return None if found is None else str(found)

    def queued(self) -> int:
        """Count the messages that wait in the broker, and the unacknowledged ones."""
        client = self.broker.client
        waiting = sum(int(client.llen(name)) for name in ("default", "cpu"))
        return waiting + int(client.hlen("unacked"))


@pytest.fixture
async def system(
    tmp_path: Path, postgres_url: str, smtp_port: int, mailbox: Mailbox
) -> AsyncIterator[System]:
    """A separate system with the kit's slices: `await system.start("relay")`.

    None of our processes runs when the test begins.
    """
    async with _running(tmp_path, postgres_url, smtp_port, KIT) as system:
        yield system


@pytest.fixture
async def whole_system(
    tmp_path: Path, postgres_url: str, smtp_port: int, mailbox: Mailbox
) -> AsyncIterator[System]:
    """The same, with the application's slices."""
    async with _running(tmp_path, postgres_url, smtp_port, APPLICATION) as system:
        yield system


@contextlib.asynccontextmanager
async def _running(
    folder: Path, postgres_url: str, smtp_port: int, program: Program
) -> AsyncIterator[System]:
    url = await make_database(postgres_url, f"own_{uuid4().hex}")
    config = GatewayConfig(
        database_url=url, public_url="http://127.0.0.1", mail_interval=0, bcrypt_rounds=4
    )
    with GatewayThread(config) as gateway:
        system = System(folder, url, gateway, program)
        system.smtp_port = smtp_port
        try:
            await system.broker.start()
            await system.cache.start()
            yield system
        finally:
            await system.close()
    maintenance = await asyncpg.connect(postgres_url)
    await maintenance.execute(f'drop database "{url.rpartition("/")[2]}" with (force)')
    await maintenance.close()
