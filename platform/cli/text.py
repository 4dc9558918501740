"""Text for terminals."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def columns(table: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, with the columns below each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def one_line(text: str) -> str:
    """Return the text on one line, without the control characters that move a terminal's cursor."""
    return "".join(one if one.isprintable() else " " for one in text)


def unknown_slice(name: str, known: Iterable[str], what: str = "There is no slice") -> str:
    """Return what is wrong with a name, with those that are similar; if none is, with all."""
    names = sorted(known)
    if close := get_close_matches(name, names):
        return f"{what} {name!r}. Did you mean {' or '.join(close)}?"
    return f"{what} {name!r}. There are: {', '.join(names)}."


def wrapped(text: str, *, indent: int) -> str:
    """Return the text in lines that fit the terminal; all of them are indented."""
    return textwrap.fill(
        text,
        width=max(shutil.get_terminal_size().columns, 40),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_on_hyphens=False,
    )
