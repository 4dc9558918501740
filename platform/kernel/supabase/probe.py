"""Whether Supabase answers; checked at most once a second."""

import asyncio
import logging
import time
from typing import Final

from httpx import Response

from kernel.errors import ApiError
from kernel.supabase.answers import json_object
from kernel.supabase.http import AROUND, SupabaseHttp, bearer

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 1.0


class Probe:
    """Checks Auth, and the database through PostgREST; a result is valid for a second.

    Concurrent callers share one check (single flight): health checks have no rate limit and need no
    token, and must not become a load on Supabase. The check bypasses the guards. An open breaker
    must not refuse it, because operators use it to see whether Supabase is back. It does not close
    one either, because Auth's health check does not test Auth's own dependencies.
    """

    def __init__(self, http: SupabaseHttp) -> None:
        self._http = http
        self._answer: asyncio.Future[bool] | None = None
        self._asked = 0.0

    async def up(self) -> bool:
        """Return whether both answer."""
        answer = self._answer
        if answer is None or (answer.done() and time.monotonic() - self._asked >= FRESH_SECONDS):
            self._asked = time.monotonic()
            self._answer = answer = asyncio.ensure_future(self._ask())
        return await asyncio.shield(answer)

    async def _ask(self) -> bool:
        http = self._http
        try:
            answers = await asyncio.gather(
                http.get(
                    f"{http.base}/auth/v1/health", headers={"apikey": http.key}, extensions=AROUND
                ),
                # A GET is repeated once if the server has just closed the pooled connection.
                http.get(
                    f"{http.base}/rest/v1/rpc/service_alive",
                    headers=bearer(http.service_key),
                    extensions=AROUND,
                ),
            )
        except ApiError:  # no response, or a limit
            return False
        expected = _of_auth(answers[0]), _of_the_database(answers[1])
        for answer, right in zip(answers, expected, strict=True):
            if not right:  # a wrong key, or migrations that are missing
                log.error(
                    "Supabase refuses the health check",
                    extra={"path": answer.request.url.path, "status": answer.status_code},
                )
        return all(expected)


def _of_auth(answer: Response) -> bool:
    return answer.is_success and json_object(answer).get("name") == "GoTrue"


def _of_the_database(answer: Response) -> bool:
    return answer.is_success and answer.content.strip() == b"true"
