"""Logins leak nothing in this process, and tell Auth the client's address."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from kernel.boot.app import create_app
from kit.application import SLICES, running
from kit.front import FORWARDING_HEADERS, INVENTED_ADDRESS, Front
from kit.people import PASSWORD, Person, new_email


def counts() -> tuple[int, int, int]:
    """Return how many tasks, threads and file descriptors this process has."""
    descriptors = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    return len(asyncio.all_tasks()), threading.active_count(), len(list(descriptors.iterdir()))


async def test_a10_thirty_logins_leave_nothing_behind(settings, author: Person):
    async with running(create_app(settings, SLICES)) as client_for, client_for() as client:

        async def log_in(times: int) -> None:
            body = {"email": author.email, "password": author.password}
            for _ in range(times):
                assert (await client.post("/enter", json=body)).status_code == 200

        await log_in(10)  # fill the pools first; the tests' gateway runs in this process, too
        before = counts()
        await log_in(30)
        after = counts()
    for now, then in zip(after, before, strict=True):
        assert abs(now - then) <= 2


@pytest.mark.parametrize("invented", FORWARDING_HEADERS)
async def test_a9_auth_sees_the_clients_own_address(settings, front: Front, author, invented):
    headers, own = {invented: INVENTED_ADDRESS}, f"203.0.113.{len(invented)}"
    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for(address=own) as client:
        known = {"email": author.email, "password": author.password}
        new = {"email": new_email(), "password": PASSWORD}
        for path, body, status in (("enter", known, 200), ("join", new, 201)):
            answer = await client.post(f"/{path}", json=body, headers=headers)
            assert answer.status_code == status
    assert front.count("auth") == 2
    for seen in front.seen:
        assert INVENTED_ADDRESS not in str(seen.headers)
        if seen.part == "auth":
            assert seen.headers["sb-forwarded-for"] == own
