"""A login leaks no tasks, threads or file descriptors in this process."""

import asyncio
import sys
import threading
from pathlib import Path

from kernel.boot.app import create_app
from kit.application import running
from kit.people import Person


def counts() -> tuple[int, int, int]:
    """Return how many tasks, threads and file descriptors this process has."""
    descriptors = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    return len(asyncio.all_tasks()), threading.active_count(), len(list(descriptors.iterdir()))


async def test_a10_thirty_logins_leave_nothing_behind(settings, author: Person):
    async with running(create_app(settings)) as client_for, client_for() as client:

        async def log_in(times: int) -> None:
            body = {"email": author.email, "password": author.password}
            for _ in range(times):
                assert (await client.post("/auth/login", json=body)).status_code == 200

        grown: list[int] = []
        # Remains of other tests may end meanwhile. A leak appears in every try.
        for _ in range(3):
            await log_in(10)  # fill the pools first; the tests' gateway runs in this process, too
            before = counts()
            await log_in(30)
            grown = [now - then for now, then in zip(counts(), before, strict=True)]
            if all(abs(more) <= 2 for more in grown):
                return
    raise AssertionError(f"thirty logins left tasks, threads, descriptors: {grown}")
