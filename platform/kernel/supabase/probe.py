"""Whether Supabase answers: asked seldom, however many want to know."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from kernel.errors import ApiError
from kernel.supabase.http import SupabaseHttp
from kernel.supabase.rest import AsService

FRESH_SECONDS: Final = 1.0


class Probe:
    """Asks Auth, and the database through PostgREST; an answer counts for a second.

    Who asks meanwhile gets the same answer (single flight): health checks have no limit and need no
    token, and must not become a load on Supabase.
    """

    def __init__(self, http: SupabaseHttp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http, self._clock = http, clock
        self._answer: asyncio.Future[bool] | None = None
        self._asked = 0.0

    async def up(self) -> bool:
        """Return whether both answer."""
        answer = self._answer
        if answer is None or (answer.done() and self._clock() - self._asked >= FRESH_SECONDS):
            self._asked = self._clock()
            self._answer = answer = asyncio.ensure_future(self._ask())
        return await asyncio.shield(answer)

    async def _ask(self) -> bool:
        auth = f"{self._http.base}/auth/v1/health"
        try:
            await asyncio.gather(
                self._http.get(auth, headers={"apikey": self._http.key}),
                AsService(self._http).rpc("alive"),
            )
        except ApiError:
            return False
        return True
