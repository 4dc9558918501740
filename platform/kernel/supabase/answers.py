"""Tells Supabase's own responses from those of what stands in front of it.

A proxy, a firewall, the page for a paused project or a used-up quota responds with HTML, with an
empty body, or with JSON that is not in the format of Auth or PostgREST: with any status, even 200.
"""

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from kernel.supabase.exchange import Response

LONGEST_HINT: Final = 3600
_WITHOUT_BODY: Final = frozenset({201, 204})
_FIRST_ERROR: Final = 400
_FIRST_REDIRECT: Final = 300
_JSON_START: Final = b'{["tfn-0123456789'
# Auth names its errors in lower case, PostgREST by SQLSTATE or by its own codes. A gateway that
# refuses a key has no code, or one of another form.
AUTH_CODE: Final = re.compile(r"[a-z0-9_]{1,64}")
_CODES: Final = {
    "auth": AUTH_CODE,
    "rest": re.compile(r"[0-9A-Z]{5}|PGRST[0-9A-Z]{1,8}"),
}
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def json_object(response: Response) -> dict[str, Any]:
    """Return the object that a response has as its body; an empty one for any other body."""
    try:
        body = orjson.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error_code(part: str, response: Response) -> str | None:
    """Return the code of an error of Auth (`part` is auth) or PostgREST (rest), None for others.

    Auth has it in `code` or, for clients that name no version of its API, in `error_code`.
    """
    body = json_object(response)
    for found in (body.get("code"), body.get("error_code")):
        if isinstance(found, str) and _CODES[part].fullmatch(found):
            return found
    return None


def is_own(part: str, response: Response) -> bool:
    """Return whether a response comes from Auth or PostgREST themselves, by its form."""
    if response.status_code >= _FIRST_ERROR:
        return error_code(part, response) is not None
    if response.status_code >= _FIRST_REDIRECT:
        return False
    if response.request.method == "HEAD":
        return True
    if not response.content:
        return response.status_code in _WITHOUT_BODY
    kind = response.headers.get("content-type", "")
    return "json" in kind if kind else response.content[:1] in _JSON_START


def hint(response: Response) -> int | None:
    """Return the seconds of `Retry-After`, a number or a date; at most an hour, None without it."""
    said = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(said):
        seconds = int(said)
    else:
        try:
            seconds = round(parsedate_to_datetime(said).timestamp() - time.time())
        except ValueError:
            return None
    return min(max(1, seconds), LONGEST_HINT)
