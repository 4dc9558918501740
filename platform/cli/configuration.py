"""`./app config check`: whether the settings are safe for production."""

import asyncio
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    config = typer.Typer(
        no_args_is_help=True, help="Check the settings of the production processes."
    )
    config.command()(check)
    config.callback()(_group)  # a single command would otherwise need no name
    app.add_typer(config, name="config")


def _group() -> None:
    pass


def check(
    *,
    project: Annotated[
        bool | None,
        typer.Option(
            "--project/--no-project",
            help="Ask the Supabase project for its own settings [default: in production].",
        ),
    ] = None,
) -> None:
    """Show all unsafe settings.

    The exit code is 1 if production would refuse to start. No value is shown. Before a deployment:
    APP_ENV=production ./app config check
    """
    from kernel.boot.adapters import own_settings
    from kernel.boot.discovery import discover
    from kernel.boot.project_check import BY_HAND, project_findings
    from kernel.config.production import findings, refusal
    from kernel.config.settings import load_settings

    settings = load_settings(own=own_settings(discover()))
    found = findings(settings)
    asked = settings.app_env == "production" if project is None else project
    if asked:
        found = list(dict.fromkeys([*found, *asyncio.run(project_findings(settings))]))
    errors = [finding for finding in found if finding.level == "error"]
    warnings = [finding for finding in found if finding.level == "warning"]
    if errors:
        typer.echo(refusal(errors, assumed=settings.app_env_is_assumed), err=True)
    if warnings:
        lines = "\n".join(map(str, warnings))
        typer.echo(f"Look at these, too; they do not stop the start:\n{lines}", err=bool(errors))
    if asked:
        lines = "\n".join(f"  {setting}" for setting in BY_HAND)
        typer.echo(f"Supabase Auth does not publish these settings; check them yourself:\n{lines}")
    if settings.app_env != "production":
        typer.echo(
            f"APP_ENV is {settings.app_env}: what production needs was not checked. "
            "For that: APP_ENV=production ./app config check"
        )
    elif not found:
        typer.echo("The settings are fit for production.")
    if errors:
        raise typer.Exit(1)
