"""`./app bench`: the cost of a request or a job in CPU time and memory, and of each statement."""

import sys
from collections.abc import Collection
from typing import Annotated

import typer

from cli.checkout import ROOT


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(bench)


def bench(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines, the ratios last.")] = False,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of rounds; each runs every case once.")
    ] = 3,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds of one run: 2, with --readers 30.", show_default=False),
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Number of requests of one run, instead of seconds.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, help="Number of concurrent clients.")] = 64,
    case: Annotated[
        list[str] | None, typer.Option(help="A case, and the base; default: all cases.")
    ] = None,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            help="Instead, the memory of a process before and after 200,000 mixed requests, or "
            "as many as --requests says.",
        ),
    ] = False,
    jobs: Annotated[
        bool,
        typer.Option(
            "--jobs",
            help="Instead, jobs a second and CPU time a job of a worker that sends mails, beside "
            "bare Celery; 3,000 jobs each, or as many as --requests says.",
        ),
    ] = False,
    sockets: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Instead, so many WebSockets of one process: memory of each, and how soon a "
            "message has reached all of them.",
        ),
    ] = None,
    growth: Annotated[
        bool,
        typer.Option(
            "--growth",
            help="Instead, fill a database and show what each statement reads there; exit code 1 "
            "if one is over its bound. Takes about 10 minutes and 5 GB.",
        ),
    ] = False,
    readers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Instead, so many readers of page 1 of list_posts, and a write a second; exit "
            "code 1 if their P95 is over 50 ms or an answer is too old.",
        ),
    ] = None,
    think: Annotated[
        float, typer.Option(min=0.01, help="With --readers: seconds between a reader's requests.")
    ] = 2.0,
    relay: Annotated[
        bool,
        typer.Option(
            "--relay",
            help="Instead, measure relays: events a second of a backlog with one and three, the "
            "time from a write to its job, and what an idle one costs.",
        ),
    ] = False,
    posts: Annotated[
        int, typer.Option(min=10_000, help="With --growth or --readers: posts.")
    ] = 1_000_000,
    users: Annotated[int, typer.Option(min=10_000, help="With --growth: users.")] = 200_000,
    events: Annotated[
        int, typer.Option(min=10_000, help="With --growth: delivered events.")
    ] = 5_000_000,
    runs: Annotated[int, typer.Option(min=10_000, help="With --growth: runs of jobs.")] = 1_000_000,
    waiting: Annotated[
        int, typer.Option(min=1_000, help="With --growth: events that wait.")
    ] = 200_000,
    statement: Annotated[
        list[str] | None,
        typer.Option(help="With --growth: only statements that begin with this; default: all."),
    ] = None,
) -> None:
    """Measure the CPU time of requests or jobs, and other costs.

    It compares cached reads with bare applications. Starts a separate stack. The server has one
    core, the load and everything else use the others; every case runs once in each round, and the
    results are medians. A ratio is the CPU time relative to that of a bare ASGI application with
    one GET of redis-py.
    """
    _require_known(case or ())
    from bench.errors import BenchError
    from devstack import StackError

    missed = False
    try:
        if growth:
            sizes = (posts, users, events, runs, waiting)
            lines, missed = _growth(sizes, tuple(statement or ()), as_json=as_json)
        elif readers:
            lines, missed = _readers(readers, think, seconds or 30, posts, as_json=as_json)
        elif jobs:
            lines = _jobs(requests or 3000, rounds, as_json=as_json)
        elif relay:
            lines = _relay(as_json=as_json)
        elif sockets:
            lines = _sockets(sockets, rounds)
        elif memory:
            lines = _memory(requests or 200_000, connections)
        else:
            lines = _figures(
                rounds, seconds or 2.0, requests, connections, tuple(case or ()), as_json=as_json
            )
    except (BenchError, StackError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo("\n".join(lines))
    if missed:
        raise typer.Exit(1)


def _require_known(cases: Collection[str]) -> None:
    """Exit unless this machine has a stack, and the benchmark these cases."""
    if sys.platform == "win32":
        typer.echo("The local stack needs Linux or macOS: on Windows use WSL 2.", err=True)
        raise typer.Exit(1)
    from bench.cases import NAMES

    if unknown := set(cases).difference(NAMES):
        wrong, right = ", ".join(sorted(unknown)), ", ".join(NAMES)
        typer.echo(f"There is no such case: {wrong}. There are: {right}.", err=True)
        raise typer.Exit(1)


def _figures(
    rounds: int,
    seconds: float,
    requests: int | None,
    connections: int,
    only: tuple[str, ...],
    *,
    as_json: bool,
) -> list[str]:
    from bench import report
    from bench.run import Options, measure

    options = Options(
        root=ROOT,
        rounds=rounds,
        seconds=seconds,
        requests=requests,
        connections=connections,
        only=only,
    )
    figures = measure(options, _say)
    return report.lines(figures) if as_json else report.table(figures)


def _growth(
    sizes: tuple[int, int, int, int, int], only: tuple[str, ...], *, as_json: bool
) -> tuple[list[str], bool]:
    from bench.growth.fill import Sizes
    from bench.growth.run import measure_growth

    posts, users, events, runs, waiting = sizes
    filled = Sizes(posts=posts, users=users, events=events, runs=runs, waiting=waiting)
    found = measure_growth(ROOT, filled, _say, only)
    return found.lines() if as_json else found.table(), bool(found.missed)


def _readers(
    number: int, think: float, seconds: float, posts: int, *, as_json: bool
) -> tuple[list[str], bool]:
    from bench.readers import Options, measure_readers

    crowd = Options(root=ROOT, readers=number, think_seconds=think, seconds=seconds, posts=posts)
    found = measure_readers(crowd, _say)
    return found.lines() if as_json else found.table(), found.missed


def _relay(*, as_json: bool) -> list[str]:
    from bench.relay.run import measure_relay

    figures = measure_relay(ROOT, say=_say)
    return figures.lines() if as_json else figures.table()


def _sockets(number: int, rounds: int) -> list[str]:
    from bench.sockets import measure_sockets

    return [measure_sockets(ROOT, sockets=number, rounds=rounds, say=_say).line()]


def _jobs(number: int, rounds: int, *, as_json: bool) -> list[str]:
    from bench.jobs import run

    figures = run.measure_jobs(ROOT, jobs=number, rounds=rounds, say=_say)
    return run.lines(figures) if as_json else run.table(figures)


def _memory(requests: int, connections: int) -> list[str]:
    from bench.memory import measure_memory

    growth = measure_memory(ROOT, requests=requests, connections=connections, say=_say)
    return [growth.line()]


def _say(line: str) -> None:
    typer.echo(line, err=True)
