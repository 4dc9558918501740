"""`./app features`: a table of the slices, read from the code."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import ROOT
from cli.text import unknown_slice, wrapped
from cli.written import NoStartError, update_lists

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.edge.routes import Route
    from kernel.feature import Feature
    from kernel.jobs import Job

PAGE = ROOT / "docs" / "SLICES.md"
BEGIN, END = "<!-- ./app features --write -->", "<!-- end -->"
_CALLS = ("slice", "call", "caller", "own limits", "kept in the cache as", "what it does")
_JOBS = ("slice", "job", "follows", "what it does")
_NEXT = "next slot"

Table = Sequence[tuple[str, ...]]
"""Rows of cells; the first row has the headings."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(features)


def features(
    name: Annotated[
        str | None, typer.Argument(help="Only this slice, e.g. get_post; none: all of them.")
    ] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Update the lists of slices: docs/SLICES.md and others.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if docs/SLICES.md is not up to date.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object: lists of calls and of jobs.")
    ] = False,
) -> None:
    """Show the slices with their calls, callers, jobs and events.

    --write updates docs/SLICES.md, docs/openapi.json and tests/contract/shipped.json.
    """
    if name is not None and (write or check):
        sys.exit("--write and --check are about all slices: leave out the name.")
    if write:
        try:
            changed = update_lists(ROOT)
        except NoStartError as error:
            sys.exit(str(error))
        for path in changed:
            typer.echo(path)
    elif check:
        _require_current()
    else:
        found = _found(name)
        shown = (calls(found), with_next_slots(jobs(found), found, datetime.now(UTC)))
        if as_json:
            typer.echo(json.dumps(dict(zip(("calls", "jobs"), map(_objects, shown), strict=True))))
        else:
            typer.echo("\n".join(_lines(*shown)))


def _found(name: str | None) -> "Mapping[str, Feature]":
    """Return all slices, or the named one; exit if there is no such slice."""
    from kernel.boot.discovery import discover

    found = discover()
    if name is None:
        return found
    if name not in found:
        sys.exit(unknown_slice(name, found))
    return {name: found[name]}


def _require_current() -> None:
    before = PAGE.read_text(encoding="utf-8")
    try:
        text = page()
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


def with_next_slots(table: Table, features: "Mapping[str, Feature]", now: datetime) -> Table:
    """Return the table of jobs with one more column: the next slot of the scheduled ones, in UTC.

    The page of slices does not have it, because it changes without a change of the code.
    """
    every = [job for feature in features.values() for job in feature.jobs]
    column = (
        f"{job.schedule.next(now):%Y-%m-%d %H:%M} UTC" if job.schedule else "" for job in every
    )
    return [(*row[:-1], cell, row[-1]) for row, cell in zip(table, (_NEXT, *column), strict=True)]


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


def _lines(calls: Table, jobs: Table) -> Iterator[str]:
    """Yield the lines for a terminal: the slice, what it does, and below it its calls and jobs."""
    heads = {row[0]: row[-1] for row in calls[1:]}
    below: dict[str, list[str]] = {name: [] for name in heads}
    for name, call, who, limits, cached, _ in calls[1:]:
        parts = [call, who]
        if limits:
            parts.append(f"limits: {limits}")
        if cached:
            parts.append(f"cache: {cached}")
        below[name].append(" · ".join(parts))
    for name, job, follows, slot, what in jobs[1:]:
        when = f"{follows} · next {slot}" if slot else follows
        if name in heads:
            below[name].append(f"job {job} · {when} · {what}")
        else:
            heads[name] = what
            below.setdefault(name, []).append(f"job {job} · {when}")
    for name in sorted(heads):
        yield wrapped(f"{name}: {heads[name]}", indent=0)
        yield from (wrapped(line, indent=2) for line in below[name])


def _objects(table: Table) -> list[dict[str, str]]:
    names = [heading.replace(" ", "_") for heading in table[0]]
    return [dict(zip(names, row, strict=True)) for row in table[1:]]


def _markdown(table: Table) -> str:
    lines = [f"| {' | '.join(row)} |" for row in table]
    lines.insert(1, "|" + " --- |" * len(table[0]))
    return "\n".join(lines)


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
    return job.on.__name__ if job.schedule is None else str(job.schedule)


def _use_case(name: str) -> str:
    import importlib

    return _first_line(importlib.import_module(f"features.{name}").__doc__)


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0].rstrip(".")
