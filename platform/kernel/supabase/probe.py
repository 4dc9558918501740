"""Whether Supabase answers: asked seldom, however many want to know."""

import asyncio
import logging
import time
from typing import Final

from kernel.supabase.http import AROUND, SupabaseHttp, SupabaseUnavailable, bearer

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 1.0


class Probe:
    """Asks Auth, and the database through PostgREST; an answer counts for a second.

    Who asks meanwhile gets the same answer (single flight): health checks have no limit and need no
    token, and must not become a load on Supabase. It goes around the guards: people ask it whether
    Supabase is back, so no open breaker may refuse it; and it closes none, since Auth's own health
    says nothing of what Auth itself stands on.
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
                # A GET: on a connection that the server has just closed it is asked once more.
                http.get(
                    f"{http.base}/rest/v1/rpc/alive",
                    headers=bearer(http.service_key),
                    extensions=AROUND,
                ),
            )
        except SupabaseUnavailable:
            return False
        for answer in answers:
            if not answer.is_success:  # a wrong key, or a schema that is not migrated
                log.error(
                    "Supabase refuses the health check",
                    extra={"path": answer.request.url.path, "status": answer.status_code},
                )
        return all(answer.is_success for answer in answers)
