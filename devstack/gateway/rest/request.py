"""The other parts of a request: preferences, media types, range and body."""

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from devstack.gateway.rest.errors import RestError, invalid_body, unsatisfiable, unsupported
from devstack.gateway.rest.statements import Shape
from devstack.gateway.rest.syntax import Level
from devstack.gateway.rest.writes import Payload

# In the order of `preference-applied`.
_PREFERENCES: Final = {
    "resolution": {"merge-duplicates", "ignore-duplicates"},
    "missing": {"default", "null"},
    "return": {"representation", "headers-only", "minimal"},
    "count": {"exact", "planned", "estimated"},
}
# To ignore these would change the effect of a request. All others may be ignored (RFC 7240), also
# tx: in a Supabase project, clients do not decide how transactions end.
_UNSUPPORTED: Final = ("handling=strict", "max-affected", "timezone")
_RANGE: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})?")
_OBJECT: Final = "application/vnd.pgrst.object+json"
_UTF8: Final = "; charset=utf-8"


class Preferences(dict[str, str]):
    """The known `Prefer` headers; of equal preferences the first one applies."""

    def __init__(self, headers: list[str]) -> None:
        for preference in ",".join(headers).replace(" ", "").split(","):
            if preference.startswith(_UNSUPPORTED):
                raise unsupported(f"Prefer: {preference}")
            name, _, value = preference.partition("=")
            if value in _PREFERENCES.get(name, ()):
                self.setdefault(name, value)

    def applied(self, *names: str) -> dict[str, str]:
        """Return the `preference-applied` header for those of `names` that were sent."""
        listed = [f"{name}={self[name]}" for name in _PREFERENCES if name in self and name in names]
        return {"preference-applied": ", ".join(listed)} if listed else {}


@dataclass(frozen=True)
class Media:
    """The format that `Accept` chose: the rows' shape, and its content type."""

    shape: Shape
    content_type: str


def negotiate(accept: str | None) -> Media:
    """Choose among what `Accept` lists, the best quality first; raises RestError (406 PGRST107)."""
    listed = [part.strip() for part in (accept or "*/*").split(",")]
    for media_type in sorted(listed, key=_quality, reverse=True):
        name, _, rest = media_type.partition(";")
        if "nulls=stripped" in rest:
            raise unsupported("nulls=stripped")
        match name.strip().lower():
            case "application/json" | "*/*" | "application/*":
                return Media("array", "application/json" + _UTF8)
            case "application/vnd.pgrst.object+json" | "application/vnd.pgrst.object":
                return Media("object", _OBJECT + _UTF8)
            case "text/csv":
                return Media("csv", "text/csv" + _UTF8)
            case "application/geo+json" as geometry:
                raise unsupported(geometry)
    message = f"None of these media types are available: {', '.join(listed)}"
    raise RestError(406, "PGRST107", message)


def _quality(media_type: str) -> float:
    match = re.search(r";\s*q=([01](?:\.[0-9]{1,3})?)\s*(?:;|$)", media_type)
    return float(match[1]) if match else 1.0


def narrow(level: Level, header: str | None) -> None:
    """Narrow a level by the `Range` header of a GET; raises RestError (416 PGRST103)."""
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return
    first, last = int(match[1]), int(match[2]) if match[2] else None
    end = None if level.limit is None else level.offset + level.limit
    if last is not None:
        end = last + 1 if end is None else min(end, last + 1)
    if last is not None and last < first:
        raise unsatisfiable(
            "The lower boundary must be lower than or equal to the upper boundary "
            "in the Range header."
        )
    level.offset = max(level.offset, first)
    level.limit = None if end is None else max(end - level.offset, 0)


def parse_rows(content_type: str, raw: bytes, columns: tuple[str, ...] | None) -> Payload:
    """Read the body of a write: an object or a list of objects with the same keys.

    Raises RestError (400 PGRST102). With `columns` keys may differ, and those others are ignored.
    """
    body = _json(content_type, raw)
    rows: list[Any] = body if isinstance(body, list) else [body]
    if not all(isinstance(row, dict) for row in rows):
        raise invalid_body("All object keys must match")
    if columns is None and any(row.keys() != rows[0].keys() for row in rows):
        raise invalid_body("All object keys must match")
    keys = tuple(rows[0]) if rows else ()
    text = raw.decode()
    return Payload(
        text if isinstance(body, list) else f"[{text}]",
        len(rows),
        keys if columns is None else columns,
    )


def parse_arguments(content_type: str, raw: bytes) -> tuple[str, tuple[str, ...]]:
    """Read the body of a call: its text, and the names of the arguments; an empty one is {}."""
    body = _json(content_type, raw or b"{}")
    return (raw or b"{}").decode(), tuple(body) if isinstance(body, dict) else ()


def _json(content_type: str, raw: bytes) -> Any:
    media_type = content_type.partition(";")[0].strip().lower() or "application/json"
    if media_type in {"text/csv", "application/x-www-form-urlencoded", "text/plain", "text/xml"}:
        raise unsupported(f"a body of type {media_type}")
    if media_type not in {"application/json", _OBJECT}:
        raise invalid_body(f"Content-Type not acceptable: {media_type}")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid_body() from None
