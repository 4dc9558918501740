"""A program that makes the load, and prints what it saw: one line of JSON each second."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.scale.observed import Observed, Seen
from devstack.testing import Reaper

_LONGEST_LINE: Final = 1 << 26
_LAST_WORDS: Final = 2000
_GRACE_SECONDS: Final = 120.0  # to start, to open connections, and to end, on a busy machine

Told = Callable[[Observed, int], None]
"""Is called after each line, with all that was seen so far and the number of users."""


class Generator:
    """The running program; `observed` grows while it runs.

    `users` is the most that there were at a time; at `full_at`, a time of day, all were there.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path, wanted: int) -> None:
        self._process, self._log, self._wanted = process, log, wanted
        self.pid = process.pid
        self.users = 0
        self.full_at: float | None = None
        self.observed = Observed(began=time.time())

    async def follow(self, told: Told, *, seconds: float) -> Observed:
        """Read until it ends by itself; return all that it saw.

        Raises BenchError with its own words if it fails, or lasts longer than `seconds`.
        """
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                await self._read(told)
                await self._process.wait()
        except TimeoutError:
            raise BenchError(f"The load did not end within {seconds:.0f} s.") from None
        if not self.observed.seen:
            said = self._log.read_text("utf-8", "replace").strip()[-_LAST_WORDS:]
            raise BenchError(f"The load made no call: {said or 'it said nothing.'}")
        return self.observed

    async def _read(self, told: Told) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(b"{"):
                continue
            said: dict[str, Any] = json.loads(line)
            self.users = max(self.users, said["users"])
            self.observed.seen += [Seen(*one) for one in said["seen"]]
            self.observed.kept += said["kept"]
            self.observed.ended = time.time()
            if self.full_at is None and self.users >= self._wanted:
                self.full_at = self.observed.ended
            told(self.observed, said["users"])


@contextlib.asynccontextmanager
async def generating(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    users: int,
    told: bytes = b"",
) -> AsyncIterator[Generator]:
    """Run a program during the block; `told` is its standard input, `log` gets its errors."""
    reaper = Reaper()
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=dict(environment),
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    reaper.watch(process.pid, signal.SIGKILL)
    try:
        assert process.stdin is not None
        process.stdin.write(told)
        process.stdin.close()
        yield Generator(process, log, users)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.to_thread(reaper.finish)


def own(module: str) -> list[str]:
    """Return the command of a program of ours."""
    return [sys.executable, "-m", module]
