"""What the benchmark of jobs runs: servers, a mail server, and one worker at a time."""

import asyncio
import contextlib
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
from redis import Redis

from bench.errors import BenchError
from bench.processes import addresses, environment
from bench.processors import Processors, on
from bench.system import migrated
from devstack.testing import GatewayConfig, GatewayThread, Reaper, Servers, free_port
from kernel.config.settings import Settings
from kernel.jobs.broker import celery_app
from kernel.jobs.publisher import Publisher
from kernel.jobs.table import JobTable, Message

_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_JOB: Final = "bench_mail.mail"
_START_SECONDS: Final = 30.0
# Without triggers: no relay runs, and no welcome mail is wanted.
_ASK: Final = """
with users as (
  insert into auth.users (id, email, email_confirmed_at, confirmation_token, recovery_token,
    encrypted_password, raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
    instance_id, aud, role)
  select id, id || '@example.com', now(), '', '', '', '{}', '{}', now(), now(),
    '00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated'
  from (select gen_random_uuid() as id from generate_series(1, $1::integer)) one
  returning id
), profiles as (
  insert into public.profiles (id, display_name) select id, 'Ada' from users
)
insert into outbox.events (topic, items, dropped_at, published_at)
select 'bench_mail_asked', jsonb_build_array(jsonb_build_object('user_id', id)), now(), now()
from users returning id
"""


@dataclass(frozen=True)
class Stack:
    """The servers' addresses, and what is done with them; `variables` state the settings."""

    root: Path
    processors: Processors
    postgres_url: str
    settings: Settings
    variables: Mapping[str, str]

    @property
    def broker(self) -> str:
        """The URL of the broker."""
        return f"redis://127.0.0.1:{self.settings.broker_port}/0"

    @contextlib.contextmanager
    def running(self, *command: str) -> Iterator[int]:
        """Run a program on the measured processor; yield its id, which is that of its group."""
        with on(self.processors.server), _program(self.root, *command, **self.variables) as pid:
            yield pid

    def ask(self, number: int) -> None:
        """Put so many runs of the job into the queue."""
        events = asyncio.run(_fetch(self.postgres_url, _ASK, number))
        publisher = Publisher(celery_app(self.settings), JobTable(()))
        publisher.send([Message(uuid4(), _JOB, row["id"], 0) for row in events])
        publisher.close()

    def waiting(self, queue: str) -> int:
        """Count the messages that are not done, also those that a worker has taken."""
        with Redis(port=self.settings.broker_port) as client:
            return int(client.llen(queue)) + int(client.hlen("unacked"))

    def letters(self) -> int:
        """Return how many letters the mail server has taken."""
        return _letters(self.settings.smtp_port)


@contextlib.contextmanager
def started(root: Path, processors: Processors) -> Iterator[Stack]:
    """Run servers and a mail server; nothing of them remains at the end.

    Raises StackError if a server does not start, BenchError if the mail server does not.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(on(processors.others))
        servers = stack.enter_context(Servers())
        schema = _SCHEMA.read_text(encoding="utf-8")
        asyncio.run(migrated(servers.postgres_url, root / "supabase" / "migrations", schema))
        config = GatewayConfig(database_url=servers.postgres_url, public_url="http://127.0.0.1")
        gateway = stack.enter_context(GatewayThread(config))
        smtp_port = free_port()
        stack.enter_context(_program(root, "bench.jobs.sink", str(smtp_port)))
        _await_sink(smtp_port)
        variables = {
            **addresses(servers, gateway.url, config),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_SECURITY": "none",
            "LOG_LEVEL": "INFO",  # as in production
        }
        values: dict[str, Any] = {name.lower(): value for name, value in variables.items()}
        settings = Settings(_env_file=None, **values)  # pyright: ignore[reportCallIssue]
        yield Stack(root, processors, servers.postgres_url, settings, variables)


def _await_sink(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            _letters(port)
        except OSError:
            if time.monotonic() > until:
                raise BenchError("The mail server of the benchmark did not start.") from None
            time.sleep(0.05)
        else:
            return


def _letters(port: int) -> int:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
        return int(server.noop()[1])


@contextlib.contextmanager
def _program(root: Path, module: str, *arguments: str, **variables: str) -> Iterator[int]:
    program = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env={**environment(root), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    reaper = Reaper()
    reaper.watch(program.pid, signal.SIGKILL)
    try:
        yield program.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        reaper.forget(program.pid)
        reaper.finish()


async def _fetch(url: str, query: str, number: int) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("set session_replication_role = replica")
        return list(await connection.fetch(query, number))
    finally:
        await connection.close()
