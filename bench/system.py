"""The benchmark's system: a separate stack, its data, and the measured servers."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import httpx

from bench.messages import CONTENT, post_id
from bench.processes import addresses, environment
from bench.processors import Processors, on
from devstack import PYTHON, Program, http_answers
from devstack.testing import GatewayConfig, GatewayThread, Servers, free_port, prepare
from migrate import migrate

_READY: Final = "/"
_METRICS: Final = "/metrics"
_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_UNMET: Final = "1000000/second"
_PERSON: Final = {"email": "reader@example.com", "password": "correct horse 9"}
_POSTS: Final = """
insert into public.bench_posts (id, title, content, published, author_id)
select
  (left($1, 24) || lpad(to_hex(number), 12, '0'))::uuid, 'A post', repeat('x', $2), true, $3
from generate_series(0, $4::integer) as number
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server under test."""

    name: str
    port: int
    pid: int


class System:
    """The stack; `token` is a user's, `posts` the number of posts.

    Measured servers run on one processor, everything else on the others.
    """

    def __init__(
        self, root: Path, servers: Servers, gateway: GatewayThread, processors: Processors
    ) -> None:
        self.posts = 0
        self.token = ""
        self._root, self._servers, self._gateway = root, servers, gateway
        self._processors = processors
        self._cache = urlsplit(servers.cache_url)

    @property
    def cache_host(self) -> str:
        """The host of the cache."""
        return str(self._cache.hostname)

    @property
    def cache_port(self) -> int:
        """The port of the cache."""
        return int(self._cache.port or 0)

    def fill(self, posts: int) -> None:
        """Sign up a user with that many posts, all published."""
        answer = httpx.post(
            f"{self._gateway.url}/auth/v1/signup",
            json=_PERSON,
            headers={"apikey": self._gateway.config.anon_key},
        )
        session = answer.raise_for_status().json()
        self.token, self.posts = session["access_token"], posts
        asyncio.run(_insert(self._servers.postgres_url, session["user"]["id"], posts))

    def api(self, name: str, **changes: str) -> Server:
        """Start `./app api` with these changes of its settings. Raises StackError."""
        settings = {
            **addresses(self._servers, self._gateway.url, self._gateway.config),
            "RATE_LIMIT_DEFAULT": _UNMET,
            "RATE_LIMIT_FALLBACK": _UNMET,
            "LOG_LEVEL": "INFO",  # as in production
            "DOCS_ENABLED": "false",
            **changes,
        }
        return self._start(name, ("bench.entry", "api"), settings, path=_READY)

    def relay(self) -> None:
        """Start `./app relay`, beside what is not measured. Raises StackError."""
        port = free_port()
        stack = addresses(self._servers, self._gateway.url, self._gateway.config)
        settings = {**stack, "METRICS_PORT": str(port)}
        program = self._program("relay", ("cli", "relay"), settings, port, _METRICS)
        with on(self._processors.others):
            self._servers.run(program)

    def reference(self, name: str, *, size: int, redis: bool) -> Server:
        """Start a bare application with bodies of this size. Raises StackError."""
        options = ("--redis-port", str(self._cache.port)) if redis else ()
        command = ("bench.reference", "--size", str(size), *options)
        return self._start(name, command, {}, path="/")

    def environment(self) -> dict[str, str]:
        """Return the environment of our programs, without the caller's settings."""
        return environment(self._root)

    @property
    def database_url(self) -> str:
        """The database, as its superuser."""
        return self._servers.postgres_url

    def _start(
        self, name: str, command: tuple[str, ...], settings: dict[str, str], *, path: str
    ) -> Server:
        port = free_port()
        program = self._program(name, (*command, "--port", str(port)), settings, port, path)
        with on(self._processors.server):
            pid = self._servers.run(program)
        return Server(name=name, port=port, pid=pid)

    def _program(
        self, name: str, command: tuple[str, ...], settings: dict[str, str], port: int, path: str
    ) -> Program:
        return Program(
            name=name,
            argv=(*PYTHON, *command),
            ready=partial(http_answers, f"http://127.0.0.1:{port}{path}"),
            folder=self._root,
            environment=lambda: {**self.environment(), **settings},
        )


@contextlib.contextmanager
def running(root: Path, processors: Processors, *, posts: int) -> Iterator[System]:
    """Run a filled stack with a checkout's code; nothing of it remains at the end.

    Raises StackError if a server does not start.
    """
    with on(processors.others), Servers() as servers:
        schema = _SCHEMA.read_text(encoding="utf-8")
        asyncio.run(migrated(servers.postgres_url, root / "supabase" / "migrations", schema))
        config = GatewayConfig(
            database_url=servers.postgres_url,
            public_url="http://127.0.0.1",
            jwt_expiry=24 * 3600,
            bcrypt_rounds=4,
        )
        with GatewayThread(config) as gateway:
            system = System(root, servers, gateway, processors)
            system.fill(posts)
            yield system


async def migrated(url: str, migrations: Path, schema: str | None = None) -> None:
    """Make the application's schema in a database, and a benchmark's own after it."""
    connection = await asyncpg.connect(url)
    try:
        await prepare(connection)
    finally:
        await connection.close()
    await migrate(url, migrations)
    if schema is None:
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(schema)
    finally:
        await connection.close()


async def _insert(url: str, author: str, posts: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        # Disable triggers: no relay runs, and they would create an event with all posts.
        await connection.execute("set session_replication_role = replica")
        await connection.execute(_POSTS, post_id(0), CONTENT, author, posts - 1)
        await connection.execute("analyze public.bench_posts")
    finally:
        await connection.close()
