"""Whether this process may be sent requests."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Readiness:
    """Ready from the first successful check on, until the process drains.

    A fault that comes later does not change it: one that hits every replica at once must not take
    all of them out of service.
    """

    checked: bool = False
    draining: bool = False

    @property
    def ready(self) -> bool:
        """Whether requests are welcome."""
        return self.checked and not self.draining


@contextmanager
def drained_on_sigterm(readiness: Readiness, *, seconds: float) -> Iterator[None]:
    """Between SIGTERM and the server's own shutdown, answer on for `seconds`, but not ready.

    The time is for load balancers to notice; the server's own handler runs afterwards. Does
    nothing outside of the main thread, where no signal arrives.
    """
    try:
        previous = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()

        def begin(number: int, _frame: object) -> None:
            def shut_down() -> None:
                signal.signal(number, previous)
                signal.raise_signal(number)

            readiness.draining = True
            loop.call_soon_threadsafe(loop.call_later, seconds, shut_down)

        signal.signal(signal.SIGTERM, begin)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
