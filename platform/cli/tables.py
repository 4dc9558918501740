"""`./app features`: what the slices are, read from the code."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import ROOT

if TYPE_CHECKING:  # at run time only where it is needed: keeps ./app --help fast
    from kernel.edge.routes import Route
    from kernel.feature import Feature
    from kernel.jobs import Job

README = ROOT / "README.md"
BEGIN, END = "<!-- ./app features --write -->", "<!-- end -->"
_HEADINGS = ("slice", "call", "caller", "limits", "cache", "job", "follows", "what it does")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(features)


def features(
    write: Annotated[bool, typer.Option("--write", help="Update the table in README.md.")] = False,
) -> None:
    """Show the table of slices: calls and who may make them, jobs and what they follow."""
    from kernel.boot.discovery import discover

    rows = table(discover())
    if not write:
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            typer.echo("  ".join(cells).rstrip())
        return
    text = README.read_text(encoding="utf-8")
    README.write_text(with_table(text, rows), encoding="utf-8")


def table(features: "Mapping[str, Feature]") -> list[tuple[str, ...]]:
    """Return the headings, one row a call and, below them, one row a job."""
    from kernel.edge.routes import routes_of

    calls = [
        (
            route.feature_name,
            f"{route.method} {route.path}",
            _who(route.feature),
            _limits(route.feature),
            _cached(route),
            "",
            "",
            _use_case(route.feature_name),
        )
        for route in routes_of(features)
    ]
    jobs = [
        # The use case of a slice that is called, too, is the call: its job says what else happens.
        (
            name,
            "",
            "",
            "",
            "",
            job.function.__name__,
            _follows(job),
            _first_line(job.function.__doc__) if feature.router else _use_case(name),
        )
        for name, feature in features.items()
        for job in feature.jobs
    ]
    return [_HEADINGS, *calls, *jobs]


def with_table(text: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return the text with the table between its two marks replaced."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return "\n".join([head + BEGIN, *lines, END + tail])


def _who(feature: "Feature") -> str:
    restricted = filter(None, ("owner" if feature.owner else "", feature.role))
    return " or ".join(restricted) or feature.caller


def _cached(route: "Route") -> str:
    """Return the keys of a call's cached reads, in the order in which they are tried."""
    return ", ".join(cached.key for cached in route.reads)


def _limits(feature: "Feature") -> str:
    """Return the slice's own limits: what all slices share is not among them."""
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
