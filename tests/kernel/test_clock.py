"""The tests' own clocks: frozen time does not stop what runs beside a test."""

import asyncio
import threading
import time

from freezegun import freeze_time


def test_event_loops_of_other_threads_go_on_while_time_is_frozen():
    over = threading.Event()

    async def work() -> None:
        while not over.is_set():
            await asyncio.sleep(0.0005)

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    for _ in range(20):
        with freeze_time(real_asyncio=True):
            pass
    over.set()
    thread.join(10)
    assert not thread.is_alive()


def test_the_clocks_go_on_from_where_they_were(frozen_time):
    before = time.monotonic(), time.time(), time.perf_counter()
    frozen_time.tick(5)
    assert (time.monotonic(), time.time(), time.perf_counter()) == tuple(one + 5 for one in before)


def test_movable_time_lets_the_clocks_run(movable_time):
    begun = time.monotonic()
    movable_time.tick(60)
    assert 0 < time.monotonic() - begun < 90
    begun = time.monotonic()
    while time.monotonic() == begun:
        pass
