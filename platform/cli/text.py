"""Text for terminals."""

import shutil
import textwrap
from collections.abc import Sequence


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


def wrapped(text: str, *, indent: int) -> str:
    """Return the text in lines that fit the terminal; all of them are indented."""
    return textwrap.fill(
        text,
        width=max(shutil.get_terminal_size().columns, 40),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_on_hyphens=False,
    )
