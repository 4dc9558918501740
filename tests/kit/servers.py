"""One PostgreSQL and two Valkey servers for the whole run.

Each xdist worker has its own database, gateway and Valkey database.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis import Redis

from devstack.testing import GatewayConfig, GatewayThread, Servers, prepare
from kit.running_stack import postgres_of_running_stack
from migrate import MigrationError, migrate

REDIS_SERVER = os.environ.get("TEST_REDIS_SERVER")
"""The server program of the tests' caches and brokers, for instance redis-server."""

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
SCHEMA = Path(__file__).with_name("schema.sql")
"""The tables of the kit's slices; every database of the tests has them."""

_SERVERS = pytest.StashKey[Servers]()
_RUNNING = pytest.StashKey[contextlib.ExitStack]()
_TEMPLATE = "template_app"
# Copying a database does not copy the settings that roles have in it.
_ROLE_SETTINGS = """
select format('alter role %I in database %I set %s = %L', r.rolname, $2::text,
  split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)) as command
from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
  join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c
where d.datname = $1
"""
_COMMENT = """
select shobj_description(oid, 'pg_database') from pg_database where datname = $1
"""
_CUT_OFF = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The addresses of this worker's stack."""

    postgres_url: str
    database_url: str
    gateway: GatewayConfig
    supabase_url: str
    cache_url: str
    broker_url: str
    number: int


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers once, in the main process; pass their addresses to xdist's workers.

    Raises UsageError, which pytest prints as one line, if a migration cannot be applied.
    """
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    running = config.stash[_RUNNING] = contextlib.ExitStack()
    servers = Servers(REDIS_SERVER, postgres_url=running.enter_context(postgres_of_running_stack()))
    servers.start()
    config.stash[_SERVERS] = servers
    try:
        asyncio.run(_make_template(servers.postgres_url))
    except MigrationError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Show which server the tests use."""
    if (servers := config.stash.get(_SERVERS, None)) is None:
        return None
    with Redis.from_url(servers.cache_url) as client:
        found: Any = client.info("server")
    name = found.get("server_name", "redis")
    where = "that of ./app up" if servers.postgres_is_running else "started for this run"
    return f"PostgreSQL: {where}; cache and broker: {name} {found.get(f'{name}_version')}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    if servers := config.stash.get(_SERVERS, None):
        servers.stop()
    if running := config.stash.get(_RUNNING, None):
        running.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the servers' addresses to a worker of xdist."""
    servers = node.config.stash[_SERVERS]
    node.workerinput["servers"] = (servers.postgres_url, servers.cache_url, servers.broker_url)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Addresses of PostgreSQL (as superuser), cache and broker."""
    if hasattr(request.config, "workerinput"):
        return tuple(vars(request.config)["workerinput"]["servers"])
    own = request.config.stash[_SERVERS]
    return own.postgres_url, own.cache_url, own.broker_url


@pytest.fixture(scope="session")
def postgres_url(servers: tuple[str, str, str]) -> str:
    """The server's maintenance database, as superuser: for tests that create a database."""
    return servers[0]


@pytest.fixture(scope="session")
def stack(servers: tuple[str, str, str]) -> Iterator[Stack]:
    """This worker's stack: a migrated database, a gateway in front of it, two Valkey databases."""
    postgres, cache, broker = servers
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    number = int(worker.removeprefix("gw"))
    database = asyncio.run(make_database(postgres, f"app_{worker}"))
    config = GatewayConfig(
        database_url=database,
        public_url="http://127.0.0.1",
        mail_interval=0,
        anonymous_users=True,
        bcrypt_rounds=4,
    )
    with GatewayThread(config) as gateway:
        yield Stack(
            postgres_url=postgres,
            database_url=database,
            gateway=config,
            supabase_url=gateway.url,
            cache_url=f"{cache}/{number}",
            broker_url=f"{broker}/{number}",
            number=number,
        )


@pytest.fixture
async def database(stack: Stack) -> Any:
    """A connection as superuser, to check the API's effects and to clean up."""
    refuse_remote(stack.database_url)
    connection = await asyncpg.connect(stack.database_url)
    yield connection
    await connection.close()


def refuse_remote(url: str) -> None:
    """Raise if an address is not on this machine: tests delete the data at these addresses."""
    host = urlsplit(url).hostname or ""
    if host != "localhost" and not ip_address(host).is_loopback:
        raise RuntimeError(f"tests delete data, and {host} is not this machine")


async def _make_template(postgres: str) -> None:
    """Make the database that others are copies of, unless the server has it in this version."""
    version = _version_of_template()
    connection = await asyncpg.connect(postgres)
    try:
        if await connection.fetchval(_COMMENT, _TEMPLATE) == version:
            return
    finally:
        await connection.close()
    url = await make_database(postgres, _TEMPLATE, template="template0")
    connection = await asyncpg.connect(url)
    try:
        await prepare(connection)
    finally:
        await connection.close()
    await migrate(url, MIGRATIONS)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SCHEMA.read_text(encoding="utf-8"))
        # Last: a template that was not finished has no version.
        await connection.execute(f"comment on database {_TEMPLATE} is '{version}'")
    finally:
        await connection.close()


def _version_of_template() -> str:
    """Return a hash of what makes the template: the migrations, the kit's tables, the stack."""
    stack = (MIGRATIONS.parents[1] / "devstack").rglob("*")
    own = sorted(file for file in stack if file.suffix in {".py", ".sql"})
    files = [*sorted(MIGRATIONS.glob("*.sql")), SCHEMA, *own]
    parts = (f"{file.name}\0".encode() + file.read_bytes() for file in files)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


async def make_database(postgres: str, name: str, template: str = _TEMPLATE) -> str:
    """Make a database, migrated unless another template is given; return its address."""
    refuse_remote(postgres)
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
        await connection.execute(f'create database "{name}" template "{template}"')
        # Refusals are expected here, and the server may be that of a running ./app up, which prints
        # them: leave only what ends the server.
        await connection.execute(f'alter database "{name}" set log_min_messages = panic')
        for row in await connection.fetch(_ROLE_SETTINGS, template, name):
            await connection.execute(row["command"])
    finally:
        await connection.close()
    return urlsplit(postgres)._replace(path=f"/{name}").geturl()


@contextlib.asynccontextmanager
async def shut(sql: asyncpg.Connection) -> AsyncIterator[None]:
    """Let only this superuser's connection into its database."""
    name = await sql.fetchval("select current_database()")
    await sql.execute(f'alter database "{name}" connection limit 0')
    try:
        await sql.execute(_CUT_OFF)
        yield
    finally:
        await sql.execute(f'alter database "{name}" connection limit -1')
