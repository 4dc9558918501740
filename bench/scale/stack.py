"""The system under load: servers, a gateway, two API processes, worker, relay and beat."""

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.processes import Processes, addresses, environment
from bench.scale.people import People, fill
from bench.system import migrated
from devstack import PYTHON, Program, http_answers
from devstack.testing import GatewayConfig, Servers, free_port

_READY_SECONDS: Final = 30.0
_UNSETTLED: Final = """
select (select count(*) from jobs.runs where finished_at is null)
  + (select count(*) from outbox.events where delivered_at is null) as number
"""
_SETTINGS: Final = {
    "TRUSTED_PROXIES": "127.0.0.0/8",  # so that limits count each user's own address
    "LOG_LEVEL": "INFO",  # as in production
    "DOCS_ENABLED": "false",
    "WORKER_CONCURRENCY": "2",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_SECURITY": "none",
}


class Stack(Processes):
    """Everything that is under load; `api_urls` are the addresses of the API's processes."""

    people: People
    api_urls: tuple[str, ...] = ()

    def start_all(self, apis: int) -> None:
        """Start all processes; return when the API's answer. Raises BenchError if one does not."""
        ports: set[int] = set()
        while len(ports) < apis:
            ports.add(free_port(besides=ports))
        for port in sorted(ports):
            self.start("api", "--port", str(port))
        for kind in ("worker", "relay", "beat"):
            self.start(kind)
        self.api_urls = tuple(f"http://127.0.0.1:{port}" for port in sorted(ports))
        for url in self.api_urls:
            wait_for(url)

    async def settled(self, seconds: float) -> int:
        """Wait until no event and no run waits, or this long; return how many still do."""
        deadline = time.monotonic() + seconds
        while True:
            late = int((await self.fetch(_UNSETTLED))[0][0])
            if not late or time.monotonic() > deadline:
                return late
            await asyncio.sleep(0.2)

    def named(self) -> dict[str, int]:
        """Return the pid of each part, by its name in the tables."""
        found: dict[str, int] = {}
        for one in self.processes:
            number = sum(name.startswith(one.kind) for name in found) + 1
            found[f"{one.kind} {number}" if one.kind == "api" else one.kind] = one.process.pid
        servers = ("gateway", "postgres", "cache", "broker", "inbox")
        return found | {name: self.servers.pid(name) for name in servers}


def wait_for(url: str) -> None:
    """Wait until an API process is ready. Raises BenchError if it takes too long."""
    deadline = time.monotonic() + _READY_SECONDS
    while not http_answers(f"{url}/api/v1/health/readiness"):
        if time.monotonic() > deadline:
            raise BenchError(f"{url} did not answer within {_READY_SECONDS:.0f} s.")
        time.sleep(0.1)


def _serve(
    root: Path, servers: Servers, name: str, port: int, *arguments: str, **settings: str
) -> None:
    """Run a part of the local stack as a process of its own."""
    servers.run(
        Program(
            name=name,
            argv=(*PYTHON, f"devstack.{name}", *arguments),
            ready=partial(http_answers, f"http://127.0.0.1:{port}"),
            folder=root,
            environment=lambda: {**environment(root), **settings},
        )
    )


@contextlib.contextmanager
def running(root: Path, *, users: int, posts: int, apis: int = 2) -> Iterator[Stack]:
    """Run a filled stack on free ports of the loopback; nothing of it remains at the end.

    Raises StackError if a server does not start, BenchError if the API does not.
    """
    logs = Path(tempfile.mkdtemp(prefix="load-"))
    with Servers(durable=True) as servers, contextlib.ExitStack() as closing:
        closing.callback(shutil.rmtree, logs)
        url = servers.postgres_url
        asyncio.run(migrated(url, root / "supabase" / "migrations"))
        port = free_port()
        gateway = f"http://127.0.0.1:{port}"
        config = GatewayConfig(
            database_url=url, public_url=gateway, mail_interval=0, jwt_expiry=3600
        )
        people = asyncio.run(fill(url, users=users, posts=posts, secret=config.jwt_secret))
        told = {"GATEWAY_CONFIG": json.dumps(asdict(config))}
        _serve(root, servers, "gateway", port, "--port", str(port), **told)
        http, smtp = free_port(), free_port()
        _serve(root, servers, "inbox", http, "--http-port", str(http), "--smtp-port", str(smtp))
        settings = {**addresses(servers, gateway, config), **_SETTINGS, "SMTP_PORT": str(smtp)}
        stack = Stack(root, servers, logs, program="cli", settings=settings)
        closing.callback(stack.close)
        stack.people = people
        stack.start_all(apis)
        yield stack
