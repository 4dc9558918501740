"""Reads the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header)."""

import contextlib
import hashlib
import re
from typing import Annotated, Final

import orjson
from fastapi import Header, Request

from kernel.errors import ValidationFailed
from kernel.supabase.idempotency import IdempotencyKey
from kernel.web.call import call_of

NAME: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
# A string of RFC 9651, 3.3.3, as the draft says, or the same without quotes, as many clients send
# it; 1 to 255 characters.
_PATTERN: Final = r'^(?:"(?:[ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\--:<-\[\]-~]{1,255})$'
_ESCAPED: Final = re.compile(r'\\(["\\])')
_DESCRIPTION: Final = (
    "Makes it safe to send the request again. A repeat with the same key and body, within 24 hours "
    f"and by the same user, stores nothing and gets the first response, with `{REPLAYED}: true`."
)


async def read_idempotency_key(
    request: Request,
    sent: Annotated[
        str | None,
        Header(
            alias=NAME,
            pattern=_PATTERN,
            description=_DESCRIPTION,
            examples=['"8e03978e-40d5-43e8-bc93-6894a57f9324"'],
        ),
    ] = None,
) -> None:
    """Put the key of this request into its call. Raises ValidationFailed if there are several."""
    if sent is None:
        return
    if len(request.headers.getlist(NAME)) > 1:
        message = "This header may be sent once."
        raise ValidationFailed(fields=[{"field": f"header.{NAME}", "message": message}])
    call = call_of(request.scope)
    key = _ESCAPED.sub(r"\1", sent[1:-1]) if sent.startswith('"') else sent
    call.idempotency = IdempotencyKey(str(call.feature), key, await _fingerprint(request))


async def _fingerprint(request: Request) -> str:
    """Return a hash of what is asked for; of JSON, white space and the order of fields are not."""
    body = await request.body()
    with contextlib.suppress(ValueError):  # not JSON: its bytes count
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    target = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.blake2b(target.encode() + body, digest_size=32).hexdigest()
