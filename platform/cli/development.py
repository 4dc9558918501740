"""The commands of development: the local stack and its settings."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.checkout import ROOT

if TYPE_CHECKING:
    from devstack import StackLayout
    from migrate import MigrationError

_MIGRATIONS: Final = ROOT / "supabase" / "migrations"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(env)


def up(
    port: Annotated[
        int,
        typer.Option(
            min=1,
            max=65535,
            help="Port of the API. Unless it is 8000 the other servers get free ports, so "
            "that several checkouts can run side by side.",
        ),
    ] = 8000,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Empty the local database, queues and inbox first.")
    ] = False,
    stack_only: Annotated[
        bool,
        typer.Option("--stack-only", help="Run what the API needs, but not the API itself."),
    ] = False,
) -> None:
    """Run everything on this machine, with the servers it needs.

    That is API, worker, relay and beat, PostgreSQL, Redis, Auth and an inbox. Needs neither Docker
    nor an account. Prints "ready" and the address when everything is ready; Ctrl-C stops it. The
    data are kept in .stack for the next start. A code change restarts API, worker, relay and beat;
    a new migration is applied by the next start, and a line says so.
    """
    if sys.platform == "win32":
        typer.echo("The local stack needs Linux or macOS: on Windows use WSL 2.", err=True)
        raise typer.Exit(1)
    import asyncio

    from cli.applications import applications
    from devstack import StackError, StackOptions
    from devstack import up as run

    options = StackOptions(
        root=ROOT,
        migrate=_migrate,
        migrations=_MIGRATIONS,
        waiting=_waiting,
        applications=None if stack_only else applications,
        watched=(ROOT / "features", ROOT / "platform"),
        port=port,
        fresh=fresh,
    )
    try:
        code = asyncio.run(run(options))
    except StackError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


def env() -> None:
    """Print the settings of the local stack as KEY=value lines.

    For other programs and shells: `set -a; eval "$(./app env)"; set +a`.
    """
    from devstack import StackError, StackFolder

    try:
        values = StackFolder(ROOT).read_values()
    except StackError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for name, value in values.items():
        typer.echo(f"{name}={value}")


async def _migrate(layout: "StackLayout") -> list[str]:
    from devstack import StackError
    from migrate import MigrationError, migrate

    try:
        return await migrate(layout.database_url, _MIGRATIONS)
    except MigrationError as error:
        raise StackError(_told(error, layout)) from None


async def _waiting(layout: "StackLayout") -> str:
    from migrate import MigrationError, pending

    try:
        names = await pending(layout.database_url, _MIGRATIONS)
    except MigrationError as error:
        return _told(error, layout)
    if not names:
        return ""
    verb, them = ("waits", "it") if len(names) == 1 else ("wait", "them")
    files = " and ".join(f"{_MIGRATIONS.relative_to(ROOT)}/{name}" for name in names)
    return f"{files} {verb}: stop ./app up and start it again to apply {them}"


def _told(error: "MigrationError", layout: "StackLayout") -> str:
    from migrate import HistoryError

    if isinstance(error, HistoryError) and layout.own_database:
        return f"{error} Or begin with an empty database: ./app up --fresh"
    return str(error)
