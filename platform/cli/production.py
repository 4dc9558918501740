"""The processes of production: configured only by the environment."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import ROOT

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.config.settings import Settings
    from kernel.feature import Feature


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (api, worker, relay, beat, migrate):
        app.command()(command)


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on [API_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [API_PORT].")] = None,
) -> None:
    """Run the API, with the Supabase and Redis of the settings.

    This is the production process; .env.example explains its settings.
    """
    import os

    import uvicorn

    from kernel.boot.server import UVICORN

    if host:
        os.environ["API_HOST"] = host  # for the workers, too: what is safe depends on it
    # Load the slices here first, so that a fault in them is one message, not one for each worker.
    settings, _ = _prepared()
    with _metrics_of_workers(settings):
        uvicorn.run(
            "kernel.boot.server:application",
            factory=True,
            host=settings.api_host,
            port=port or settings.api_port,
            workers=settings.api_workers,
            http="kernel.boot.protocol:ServerProtocol",
            **UVICORN,
        )


def worker(
    queue: Annotated[
        list[str] | None, typer.Option(help="A queue to work on, default or cpu; none: both.")
    ] = None,
) -> None:
    """Run jobs that the relay has published, until SIGTERM.

    At SIGTERM it finishes its running jobs within WORKER_GRACE_SECONDS; others go back to the
    queue.
    """
    with _shared_folder():  # before anything imports prometheus_client
        from kernel.boot.processes import run_worker
        from kernel.jobs.job import QUEUES

        settings, features = _prepared()
        if unknown := set(queue or ()).difference(QUEUES):
            typer.echo(
                f"No such queue: {', '.join(unknown)}. There are: {', '.join(QUEUES)}.", err=True
            )
            raise typer.Exit(1)
        code = run_worker(settings, features, tuple(queue or QUEUES))
    raise typer.Exit(code)


def relay() -> None:
    """Forward events from the outbox to the cache and the broker.

    Several may run.
    """
    from kernel.boot.processes import run_relay

    run_relay(*_prepared())


def beat() -> None:
    """Start scheduled jobs when they are due; several may run."""
    from kernel.boot.processes import run_beat

    run_beat(*_prepared())


@contextlib.contextmanager
def _metrics_of_workers(settings: "Settings") -> Iterator[None]:
    """Serve the metrics of several workers together; a single one serves its own."""
    from kernel.boot.discovery import version
    from kernel.observe.listener import Listener, collectors

    if settings.api_workers == 1:
        yield
        return
    # uvicorn spawns its workers: they have the variable before they import anything.
    with _shared_folder():
        Listener(settings, *collectors("api", version()))
        yield


@contextlib.contextmanager
def _shared_folder() -> Iterator[None]:
    """Make a folder in which several processes count, so that one can report the sum.

    What a process that died has counted remains: sums never decrease while the folder exists.
    """
    import os
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="app-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # as kernel.core.metrics names it
        yield


def _prepared() -> "tuple[Settings, Mapping[str, Feature]]":
    import asyncio

    from kernel.boot.adapters import own_settings
    from kernel.boot.discovery import discover
    from kernel.boot.project_check import report_disagreement
    from kernel.config.production import log_warnings, refuse_unsafe
    from kernel.config.settings import SettingsError, load_settings
    from kernel.edge.policies import PolicyTable
    from kernel.observe.logs import configure_logging, log_uncaught

    # Faults of the settings come together, below, when those of slices are known, too.
    with contextlib.suppress(SettingsError):
        early = load_settings()
        configure_logging(early.level, for_people=early.console_logs)
        sys.excepthook = log_uncaught
    features = discover()
    settings = load_settings(own=own_settings(features))
    refuse_unsafe(settings)
    log_warnings(settings)
    PolicyTable(features, settings)  # so that an unknown limit is one message, too
    asyncio.run(report_disagreement(settings))
    return settings, features


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be applied; change nothing.")
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Apply all in one transaction and roll it back. It holds their locks until the "
            "end: rehearse on a copy.",
        ),
    ] = False,
    lock_timeout: Annotated[
        float,
        typer.Option(min=0, help="Seconds to wait for a lock; other users of the table wait, too."),
    ] = 5,
    statement_timeout: Annotated[
        float, typer.Option(min=0, help="Seconds that one statement may take; 0: no limit.")
    ] = 600,
    attempts: Annotated[
        int, typer.Option(min=1, help="How often to try a migration that got no lock.")
    ] = 10,
) -> None:
    """Apply supabase/migrations to the database of DATABASE_URL.

    A second one at the same time waits for the first. Each migration has its own transaction.
    """
    import asyncio
    import os

    from migrate import MigrationError, Patience, pending
    from migrate import migrate as apply

    url, folder = os.environ.get("DATABASE_URL"), ROOT / "supabase" / "migrations"
    if not url:
        typer.echo("DATABASE_URL is not set: name the database, as postgresql://….", err=True)
        raise typer.Exit(1)
    patience = Patience(
        lock_seconds=lock_timeout, statement_seconds=statement_timeout, attempts=attempts
    )
    try:
        if dry_run or rehearse:
            names = asyncio.run(pending(url, folder, rehearse=rehearse))
        else:
            names = asyncio.run(apply(url, folder, patience=patience, say=typer.echo))
    except MigrationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if not names:
        typer.echo("The database is up to date.")
    elif dry_run or rehearse:
        for name in names:
            typer.echo(f"would apply {name}")
        how = "ran and was rolled back" if rehearse else "to apply"
        typer.echo(f"{len(names)} {how}; nothing was changed.")
    else:
        typer.echo(f"{len(names)} applied.")
