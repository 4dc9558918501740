"""`./app features`: a table of the slices, read from the code."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import ROOT
from cli.written import NoStartError, update_lists

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.edge.routes import Route
    from kernel.feature import Feature
    from kernel.jobs import Job

PAGE = ROOT / "docs" / "SLICES.md"
BEGIN, END = "<!-- ./app features --write -->", "<!-- end -->"
_CALLS = ("slice", "call", "caller", "own limits", "kept in the cache as", "what it does")
_JOBS = ("slice", "job", "follows", "what it does")

Table = Sequence[tuple[str, ...]]
"""Rows of cells; the first row has the headings."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(features)


def features(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Update the lists of slices: docs/SLICES.md and others.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if docs/SLICES.md is not up to date.")
    ] = False,
) -> None:
    """Show the slices: their calls and callers, their jobs and the events of these.

    --write updates docs/SLICES.md, docs/openapi.json and tests/contract/shipped.json.
    """
    if write:
        try:
            changed = update_lists(ROOT)
        except NoStartError as error:
            sys.exit(str(error))
        for path in changed:
            typer.echo(path)
        return
    from kernel.boot.discovery import discover

    tables = (calls(found := discover()), jobs(found))
    if not check:
        typer.echo("\n\n".join(map(_columns, tables)))
        return
    before = PAGE.read_text(encoding="utf-8")
    try:
        text = page(found)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if text != before:
        typer.echo("docs/SLICES.md is not up to date: run ./app features --write", err=True)
        raise typer.Exit(1)


def page(features: "Mapping[str, Feature] | None" = None) -> str:
    """Return the text of docs/SLICES.md. Raises ValueError without places for the tables."""
    from kernel.boot.discovery import discover

    found = discover() if features is None else features
    return with_tables(PAGE.read_text(encoding="utf-8"), calls(found), jobs(found))


def calls(features: "Mapping[str, Feature]") -> Table:
    """Return one row for each call."""
    from kernel.edge.routes import routes_of

    rows = [
        (
            route.feature_name,
            f"{route.method} {route.path}",
            _who(route.feature),
            _limits(route.feature),
            _cached(route),
            _use_case(route.feature_name),
        )
        for route in routes_of(features)
    ]
    return [_CALLS, *rows]


def jobs(features: "Mapping[str, Feature]") -> Table:
    """Return one row for each job."""
    rows = [
        # If a slice has a call, its use case describes the call and not the job.
        (
            name,
            job.function.__name__,
            _follows(job),
            _first_line(job.function.__doc__) if feature.router else _use_case(name),
        )
        for name, feature in features.items()
        for job in feature.jobs
    ]
    return [_JOBS, *rows]


def with_tables(text: str, *tables: Table) -> str:
    """Return the text with each table between its pair of marks, in this order."""
    head, *parts = text.split(BEGIN)
    if len(parts) != len(tables):
        raise ValueError(f"{PAGE.name} must have the mark {BEGIN} {len(tables)} times.")
    tails = (part.partition(END)[2] for part in parts)
    return head + "".join(
        f"{BEGIN}\n{_markdown(table)}\n{END}{tail}"
        for table, tail in zip(tables, tails, strict=True)
    )


def _markdown(table: Table) -> str:
    lines = [f"| {' | '.join(row)} |" for row in table]
    lines.insert(1, "|" + " --- |" * len(table[0]))
    return "\n".join(lines)


def _columns(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _who(feature: "Feature") -> str:
    restricted = filter(None, ("owner" if feature.owner else "", feature.role))
    return " or ".join(restricted) or feature.caller


def _cached(route: "Route") -> str:
    """Return the keys of a call's cached reads, in the order in which they are tried."""
    return ", ".join(cached.key for cached in route.reads)


def _limits(feature: "Feature") -> str:
    """Return the slice's own limits, without the shared one."""
    if not feature.limited:
        return "none"
    return ", ".join(f"{limit.rate} an {limit.per}" for limit in feature.limits)


def _follows(job: "Job") -> str:
    if job.schedule is None:
        return job.on.__name__
    if job.schedule.period == timedelta(days=1):
        hours, mins = divmod(job.schedule.offset // timedelta(minutes=1), 60)
        return f"daily, {hours:02}:{mins:02} UTC"
    return f"every {job.schedule.period}"


def _use_case(name: str) -> str:
    import importlib

    return _first_line(importlib.import_module(f"features.{name}").__doc__)


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].rstrip(".")
