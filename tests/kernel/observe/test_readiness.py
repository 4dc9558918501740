"""SIGTERM: the process is unready immediately; the server's own handler runs after the drain."""

import asyncio
import signal

from kernel.observe.readiness import Readiness, drained_on_sigterm


async def test_the_servers_handler_runs_after_the_drain_and_is_put_back():
    shut_down = asyncio.Event()

    def server(number: int, _frame: object) -> None:
        shut_down.set()

    before = signal.signal(signal.SIGTERM, server)
    try:
        readiness = Readiness(checked=True)
        with drained_on_sigterm(readiness, seconds=0.05):
            assert readiness.ready
            signal.raise_signal(signal.SIGTERM)
            assert not readiness.ready
            assert not shut_down.is_set()
            await asyncio.wait_for(shut_down.wait(), 5)
        assert signal.getsignal(signal.SIGTERM) is server
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_outside_of_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGTERM)

    async def elsewhere() -> None:
        with drained_on_sigterm(Readiness(), seconds=0):
            assert signal.getsignal(signal.SIGTERM) is before

    await asyncio.to_thread(asyncio.run, elsewhere())
