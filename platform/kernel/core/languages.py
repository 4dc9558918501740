"""Language tags of users and clients: lower-case, like `de` or `pt-br` (RFC 5646)."""

import re
from typing import Final

_TAG: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}", re.ASCII)
_READ: Final = 200  # characters of a header


def language_tag(text: str | None) -> str | None:
    """Return the tag in lower case, or None for anything that is no language tag."""
    tag = (text or "").strip().lower().replace("_", "-")
    return tag if _TAG.fullmatch(tag) else None


def fallbacks(tag: str | None) -> list[str]:
    """Return the tag and its shorter forms, longest first: `pt-br` is `pt-br`, `pt` (RFC 4647)."""
    parts = (language_tag(tag) or "").split("-")
    return ["-".join(parts[:end]) for end in range(len(parts), 0, -1) if parts[0]]


def preferred(accept_language: str) -> str | None:
    """Return the language that an `Accept-Language` prefers most, or None if it names none."""
    best, weight = None, 0.0
    for part in accept_language[:_READ].split(","):
        name, _, parameter = part.partition(";")
        tag, quality = language_tag(name), _quality(parameter)
        if tag is not None and quality > weight:
            best, weight = tag, quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if not name.strip():
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
