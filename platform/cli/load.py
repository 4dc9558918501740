"""`./app load`: the whole system under the load of many users, with bounds that it must keep."""

import math
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.checkout import ROOT

_ENVIRONMENT = ROOT / ".load"
_WITH_WHEELS = (3, 12)
_TABLES = ("costs", "capacity")
_LONGEST_IDLE = 60  # seconds; the API closes a connection after 75


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(load)


def load(
    scenario: Annotated[
        str,
        typer.Argument(
            help="browse, write, accounts, export, everyday, spike, connections, soak or faults; "
            "costs: the processor time of each call; capacity: what users need, from these costs."
        ),
    ],
    *,
    users: Annotated[
        int | None, typer.Option(min=1, help="Number of users, or of connections.")
    ] = None,
    scale: Annotated[float, typer.Option(help="A part of the users, for example 0.1.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(min=6, help="Seconds of the load.")] = None,
    rate: Annotated[
        float, typer.Option(min=1, help="With connections: requests a second.")
    ] = 1000.0,
    calls: Annotated[
        int, typer.Option(min=16, help="With costs: calls of each kind that reads or writes.")
    ] = 400,
) -> None:
    """Put the whole system under load, and show what it did.

    Starts a separate stack with two API processes, on the loopback alone. Prints calls, times,
    errors, the hit rate, and the processor time of each process. The exit code is 1 if a bound is
    missed: P95 < 200 ms, P99 < 500 ms, hit rate > 80 % (browse, connections), no error without a
    fault. The first time it installs Locust into .load, as tests/load/requirements.lock has it.
    """
    if sys.platform == "win32":
        _end("The local stack needs Linux or macOS: on Windows use WSL 2.")
    from bench.errors import BenchError
    from bench.scale.run import load as run
    from bench.scale.scenarios import SCENARIOS
    from cli.install import InstallError
    from devstack import StackError

    if scenario not in {*SCENARIOS, *_TABLES}:
        names = ", ".join((*SCENARIOS, *_TABLES))
        _end(f"There is no such scenario: {scenario}. There are: {names}.")
    if not 0 < scale <= 1 or math.isnan(scale):
        _end("--scale is a part of the users: more than 0, at most 1.")
    try:
        if scenario in _TABLES:
            for line in _table(scenario, calls):
                typer.echo(line)
            return
        wanted = SCENARIOS[scenario].sized(scale=scale, users=users, seconds=seconds)
        if scenario == "connections" and wanted.users > rate * _LONGEST_IDLE:
            _end(
                f"{wanted.users:,} connections need {wanted.users / _LONGEST_IDLE:,.0f} requests "
                "a second, or the API closes them: KEEP_ALIVE_SECONDS."
            )
        _raise_descriptors(wanted.users)
        locust = _locust() if wanted.classes else None
        found = run(ROOT, wanted, _say, locust=locust, rate=rate)
    except (BenchError, InstallError, StackError) as error:
        _end(str(error))
    for line in found.lines:
        typer.echo(line)
    typer.echo("")
    for line in found.missed or ["All bounds are kept."]:
        typer.echo(f"MISSED: {line}" if found.missed else line)
    raise typer.Exit(1 if found.missed else 0)


def _table(name: str, calls: int) -> list[str]:
    """Return a table of docs/SCALING.md. Raises BenchError, StackError."""
    from bench.scale import capacity, costs

    if name == "costs":
        return costs.table(costs.measure_costs(ROOT, _say, calls=calls))
    return capacity.table(capacity.read_costs((ROOT / capacity.PAGE).read_text("utf-8")))


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _locust() -> Path:
    """Return the Python that has Locust; install it if it is not there. Raises InstallError."""
    from cli.install import make_apart
    from cli.lock import LOAD_LOCK

    if sys.platform == "darwin" and sys.version_info < _WITH_WHEELS:
        _end("Locust needs Python 3.12 or later on a Mac: PYTHON=/path/to/python3 ./app load …")
    make_apart(ROOT, _ENVIRONMENT, LOAD_LOCK)
    return _ENVIRONMENT / "bin" / "python"


def _raise_descriptors(users: int) -> None:
    """Allow this process and its children a descriptor for each user, and some."""
    import resource

    needed = users + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        _end(f"{users:,} users need {needed:,} open files, and {hard:,} are allowed: ulimit -Hn.")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _end(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
