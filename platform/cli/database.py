"""`./app db` and `./app outbox`: a look into the database, as its owner."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import typer

from cli.operators import values_of_stack
from cli.text import columns, one_line

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    import asyncpg

_OUTBOX: Final = """
select topic, count(*) as waiting, now() - min(created_at) as oldest,
  count(*) filter (where dropped_at is null) as for_cache,
  count(*) filter (where published_at is null) as for_jobs,
  max(attempts) as attempts, max(error) as error
from outbox.events where delivered_at is null group by topic order by min(created_at)
"""
_SEVERAL: Final = "cannot insert multiple commands into a prepared statement"  # PostgreSQL's words
_HINT: Final = "SQL; a statement ends with ; and \\q ends the prompt"


class DatabaseError(Exception):
    """The database cannot be asked; the message is for people."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(db)
    app.command()(outbox)


def db(
    sql: Annotated[
        str | None, typer.Argument(help='One statement, e.g. "select 1"; none: a prompt.')
    ] = None,
) -> None:
    """Run SQL as the owner of the database.

    It runs one statement, or without one it opens a prompt. The database is that of DATABASE_URL
    or, without it, of the stack that runs here. The prompt is psql if this machine has it,
    otherwise a small one of ours.
    """
    try:
        url = database_url()
        if sql is None and (psql := shutil.which("psql")):
            os.execve(psql, [psql], os.environ | environment_of(url))  # noqa: S606  # it takes the terminal over
        asyncio.run(_prompt(url) if sql is None else _show(url, sql))
    except DatabaseError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def outbox() -> None:
    """Show the events that wait in the outbox.

    For each topic: how many, since when, and their last error.
    """
    try:
        rows = asyncio.run(_fetch(database_url(), _OUTBOX))
    except DatabaseError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if not rows:
        typer.echo("The outbox is empty: all events are delivered.")
        return
    number, oldest = sum(row["waiting"] for row in rows), max(row["oldest"] for row in rows)
    typer.echo(f"{number} {'event waits' if number == 1 else 'events wait'}; oldest {_age(oldest)}")
    table = [("topic", "waiting", "oldest", "for cache", "for jobs", "attempts")]
    table += [
        (
            row["topic"],
            str(row["waiting"]),
            _age(row["oldest"]),
            str(row["for_cache"]),
            str(row["for_jobs"]),
            str(row["attempts"]),
        )
        for row in rows
    ]
    typer.echo(columns(table))
    for row in rows:
        if row["error"]:
            typer.echo(f"{row['topic']}: {one_line(row['error'])}")
    if oldest > timedelta(seconds=30):
        typer.echo("Does a relay run? ./app relay")


def database_url() -> str:
    """Return DATABASE_URL or, without it, that of the running stack. Raises DatabaseError."""
    from migrate import NO_ADDRESS

    if url := os.environ.get("DATABASE_URL"):
        try:
            parts = urlsplit(url)
            right = parts.scheme in {"postgresql", "postgres"} and parts.port != 0
        except ValueError:  # the brackets of IPv6, or the port
            right = False
        if not right:
            raise DatabaseError(NO_ADDRESS)
        return url
    if values := values_of_stack():
        return values["DATABASE_URL"]
    raise DatabaseError(
        "No database is known: start the stack with ./app up, or set DATABASE_URL=postgresql://…"
    )


def environment_of(url: str) -> dict[str, str]:
    """Return libpq's variables for an address: in the arguments, all users would see its password.

    A parameter of the address becomes its variable: sslmode is PGSSLMODE.
    """
    parts = urlsplit(url)
    named = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port) if parts.port else None,
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.strip("/"),
        **{f"PG{name.upper()}": value for name, value in parse_qsl(parts.query)},
    }
    return {name: value for name, value in named.items() if value}


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[asyncpg.Connection]":
    """Connect; every failure is a DatabaseError, whose message has no password."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        host = urlsplit(url).hostname or "the database"
        raise DatabaseError(
            f"{host} does not let us in ({type(error).__name__}): is DATABASE_URL right?"
        ) from None
    try:
        yield connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise DatabaseError(_told(error)) from None
    finally:
        await connection.close(timeout=5)


async def _fetch(url: str, sql: str) -> "Sequence[asyncpg.Record]":
    async with connected(url) as connection:
        return await connection.fetch(sql)


async def _show(url: str, sql: str) -> None:
    async with connected(url) as connection:
        await _run(connection, sql)


async def _prompt(url: str) -> None:
    import asyncpg

    async with connected(url) as connection:
        typer.echo(_HINT, err=True)
        async for statement in _statements():
            try:
                await _run(connection, statement)
            except asyncpg.PostgresError as error:
                typer.echo(_told(error), err=True)


async def _statements() -> AsyncIterator[str]:
    """Yield what is typed, statement by statement, until the end of the input or of the prompt."""
    lines: list[str] = []
    while True:
        typer.echo("   " if lines else "=> ", nl=False, err=True)
        line = await asyncio.to_thread(sys.stdin.readline)
        if line.strip() in {"\\q", "exit", "quit"}:
            return
        if not line:
            if lines:  # as psql does: the last statement of a pipe needs no semicolon
                yield "".join(lines)
            return
        if line.strip() or lines:
            lines.append(line)
        if line.rstrip().endswith(";"):
            yield "".join(lines)
            lines.clear()


async def _run(connection: "asyncpg.Connection", sql: str) -> None:
    statement = await connection.prepare(sql)
    names = tuple(attribute.name for attribute in statement.get_attributes())
    rows = await statement.fetch()
    if not names:
        typer.echo(statement.get_statusmsg())
        return
    typer.echo(columns([names, *([_shown(value) for value in row] for row in rows)]))
    typer.echo(f"({len(rows)} {'row' if len(rows) == 1 else 'rows'})")


def _shown(value: Any) -> str:
    return "" if value is None else one_line(str(value).replace("\n", "↵"))


def _told(error: Exception) -> str:
    if str(error) == _SEVERAL:
        return "One statement at a time: the prompt of ./app db takes one on each line."
    hint = getattr(error, "hint", None)
    return "\n".join(_nonempty((str(error), f"Hint: {hint}" if hint else "")))


def _nonempty(lines: Iterable[str]) -> list[str]:
    return [line for line in lines if line]


def _age(age: timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    if seconds < 100:  # noqa: PLR2004  # beyond that, tenths say nothing
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
