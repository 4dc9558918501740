"""The processes of production: configured by the environment alone."""

from typing import Annotated

import typer

from cli.checkout import ROOT


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(api)
    app.command()(migrate)


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on [API_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [API_PORT].")] = None,
) -> None:
    """Run the API alone, against the Supabase and Redis that the settings name.

    This is the production process; .env.example explains its settings.
    """
    import uvicorn

    from kernel.discovery import discover
    from kernel.logs import configure_logging
    from kernel.settings import load_settings

    settings = load_settings()
    discover()  # here first, so that a fault of the features is one message, not one a worker
    configure_logging(settings.level)
    uvicorn.run(
        "kernel.app:create_app",
        factory=True,
        host=host or settings.api_host,
        port=port or settings.api_port,
        workers=settings.api_workers,
        log_config=None,
        access_log=False,  # the Edge writes it
        proxy_headers=False,  # the peer's word is not taken for the client's address
        server_header=False,
        timeout_graceful_shutdown=20,
    )


def migrate() -> None:
    """Apply supabase/migrations to the database that DATABASE_URL names."""
    import asyncio
    import os

    from kernel.migrations import MigrationError
    from kernel.migrations import migrate as apply

    url = os.environ.get("DATABASE_URL")
    if not url:
        typer.echo("DATABASE_URL is not set: name the database, as postgresql://….", err=True)
        raise typer.Exit(1)
    try:
        applied = asyncio.run(apply(url, ROOT / "supabase" / "migrations"))
    except MigrationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("The database is up to date." if not applied else f"{len(applied)} applied.")
