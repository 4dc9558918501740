"""Whether the systems outside answer that adapters are clients of."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

_FRESH_SECONDS: Final = 5.0


class Pings:
    """Asks the outside systems whether they answer; what it hears counts for five seconds.

    So callers of `/health` cannot make us send more than that.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Callable[[], Awaitable[bool | None]]] = {}
        self._deadlines: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self._heard: Mapping[str, bool] = {}
        self._heard_at: float | None = None

    def add(self, name: str, ask: Callable[[], Awaitable[bool | None]], *, seconds: float) -> None:
        """Ask this system from now on, by a call that may take so long; None: it is not in use."""
        self._asked[name], self._deadlines[name] = ask, seconds

    async def up(self) -> Mapping[str, bool]:
        """Return for each system that is in use whether it answers."""
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
        except Exception:  # noqa: BLE001 - whatever its client raises, it does not answer
            return False
