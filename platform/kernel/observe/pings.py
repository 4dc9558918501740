"""Whether the external systems of the adapters answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

_FRESH_SECONDS: Final = 5.0


class Pings:
    """Asks the external systems whether they answer; a result is valid for five seconds.

    So callers of `/health` cannot cause more requests.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Callable[[], Awaitable[bool | None]]] = {}
        self._deadlines: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self._heard: Mapping[str, bool] = {}
        self._heard_at: float | None = None

    def add(self, name: str, ask: Callable[[], Awaitable[bool | None]], *, seconds: float) -> None:
        """Add a system, its ping and the deadline of it; `ask` returns None if not in use."""
        self._asked[name], self._deadlines[name] = ask, seconds

    async def up(self) -> Mapping[str, bool]:
        """Return for each system in use whether it answers."""
        async with self._lock:
            now = time.monotonic()
            if self._heard_at is None or now - self._heard_at > _FRESH_SECONDS:
                answers = await asyncio.gather(*map(self._ask, self._asked))
                found = zip(self._asked, answers, strict=True)
                self._heard = {name: up for name, up in found if up is not None}
                self._heard_at = time.monotonic()
            return self._heard

    async def _ask(self, name: str) -> bool | None:
        try:
            async with asyncio.timeout(self._deadlines[name]):
                return await self._asked[name]()
        except Exception:  # noqa: BLE001 - after any error of its client, it does not answer
            return False
