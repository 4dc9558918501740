"""Whether output has colours, and text in one of them."""

import os
from typing import TextIO


def wants_colour(stream: TextIO | None) -> bool:
    """Whether text for this stream is coloured.

    NO_COLOR (https://no-color.org) says no, FORCE_COLOR (https://force-color.org) says yes; without
    them, terminals get colour.
    """
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(code: str, text: str, *, coloured: bool) -> str:
    """Return the text in the colour of an SGR code (ECMA-48), or as it is."""
    return f"\x1b[{code}m{text}\x1b[0m" if coloured else text
