"""Coloured text, and whether output has colours."""

import os
from typing import TextIO


def wants_colour(stream: TextIO | None) -> bool:
    """Whether text for this stream is coloured.

    NO_COLOR (https://no-color.org) disables it, FORCE_COLOR (https://force-color.org) enables it;
    without them, terminals get colour.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(code: str, text: str, *, coloured: bool) -> str:
    """Return the text in the colour of an SGR code (ECMA-48), or unchanged."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text
