"""Whether this process may receive requests."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Readiness:
    """Ready from the first successful check until the process drains.

    Later failures do not change it: a failure of a shared service would take all replicas out of
    service at once.
    """

    checked: bool = False
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether the process accepts requests."""
        return self.checked and not self.draining


@contextmanager
def drained_on_sigterm(readiness: Readiness, *, seconds: float) -> Iterator[None]:
    """After SIGTERM, keep answering for `seconds`, but not ready, before the server shuts down.

    In this time load balancers notice; then the server's own handler runs. After SIGINT it runs at
    once: streams end because the process drains. It does nothing outside the main thread, which
    receives no signals.
    """
    waits = {signal.SIGTERM: seconds, signal.SIGINT: 0.0}
    try:
        previous = {number: signal.getsignal(number) for number in waits}
        loop = asyncio.get_running_loop()

        def begin(number: int, _frame: object) -> None:
            def shut_down() -> None:
                signal.signal(number, previous[signal.Signals(number)])
                signal.raise_signal(number)

            readiness.draining = True
            after = waits[signal.Signals(number)]
            loop.call_soon_threadsafe(loop.call_later, after, shut_down)

        for number in waits:
            signal.signal(number, begin)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
