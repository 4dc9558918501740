"""`./app soak`: whether jobs survive the death of everything that handles them."""

import sys
from typing import Annotated

import typer

from cli.checkout import ROOT


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(soak)


def soak(
    *,
    jobs: Annotated[int, typer.Option(min=20, help="Number of jobs, of three kinds.")] = 10_000,
    kills: Annotated[
        int, typer.Option(min=0, help="Number of SIGKILLs: workers, relays, beats, the broker.")
    ] = 50,
    postgres_restarts: Annotated[
        int, typer.Option(min=0, help="How often Postgres crashes and starts again, in addition.")
    ] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers, of 3 processes.")] = 3,
    seed: Annotated[
        int | None, typer.Option(help="The same seed draws the same kills [random].")
    ] = None,
) -> None:
    """Run thousands of jobs while their processes are killed.

    It starts a separate stack, and kills its processes at random. Prints a table at the end. The
    exit code is 1 if a job was lost, or had its effect twice.
    """
    if sys.platform == "win32":
        typer.echo("The local stack needs Linux or macOS: on Windows use WSL 2.", err=True)
        raise typer.Exit(1)
    if kills + postgres_restarts > jobs // 2:
        typer.echo("There must be at least two jobs for each kill.", err=True)
        raise typer.Exit(1)
    import random

    from bench.soak import report, run
    from devstack import StackError

    options = run.Options(
        root=ROOT,
        jobs=jobs,
        kills=kills,
        postgres_restarts=postgres_restarts,
        workers=workers,
        seed=random.randrange(10**6) if seed is None else seed,  # noqa: S311 - no secret
    )
    try:
        result = run.soak(options, lambda line: typer.echo(line, err=True))
    except StackError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for line in report.table(result):
        typer.echo(line)
    raise typer.Exit(0 if result.good else 1)
