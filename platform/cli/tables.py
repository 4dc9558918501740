"""`./app features`: what the slices are, read from the code."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import ROOT

if TYPE_CHECKING:  # at run time only where it is needed: keeps ./app --help fast
    from kernel.feature import Feature

README = ROOT / "README.md"
BEGIN, END = "<!-- ./app features --write -->", "<!-- end -->"
_HEADINGS = ("slice", "call", "caller", "what it does")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(features)


def features(
    write: Annotated[bool, typer.Option("--write", help="Update the table in README.md.")] = False,
) -> None:
    """Show the table of slices: what each is called by, and who may call it."""
    from kernel.discovery import discover

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
    """Return the headings and one row a call."""
    from kernel.routes import routes_of

    rows = [
        (
            route.feature_name,
            f"{route.method} {route.path}",
            route.feature.role or route.feature.caller,
            _use_case(route.feature_name),
        )
        for route in routes_of(features)
    ]
    return [_HEADINGS, *rows]


def with_table(text: str, rows: Sequence[tuple[str, ...]]) -> str:
    """Return the text with the table between its two marks replaced."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(_HEADINGS))
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return "\n".join([head + BEGIN, *lines, END + tail])


def _use_case(name: str) -> str:
    import importlib

    text = importlib.import_module(f"features.{name}").__doc__ or ""
    return text.strip().partition("\n")[0].rstrip(".")
