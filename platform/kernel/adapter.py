"""`Adapter`: what a module of `platform/adapters/` declares, a client of an external system."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from kernel.config.own import OwnSettings
from kernel.core.durations import seconds
from kernel.observe.unexpected import Observer

Client = TypeVar("Client")
Settings = TypeVar("Settings", bound=OwnSettings)

_DEADLINE: Final = seconds(5)


@dataclass(frozen=True, kw_only=True)
class Adapter(Generic[Settings, Client]):
    """One external client: handlers and jobs ask for it by its type, `client`.

    `make` creates it from its settings and its deadline in seconds, once in each process and
    without a request; `close` closes it at the end of the process. `deadline` limits each of its
    calls; the client itself enforces it. `ping` returns for `/health` whether the system answers;
    None: it is not in use. `observe` returns what is called with each unexpected error of a request
    or job; None: it is not in use. `jobs=False` excludes it from jobs.
    """

    client: type[Client]
    settings: type[Settings]
    make: Callable[[Settings, float], Client]
    close: Callable[[Client], Awaitable[None]] | None = None
    deadline: timedelta = _DEADLINE
    ping: Callable[[Client], Awaitable[bool | None]] | None = None
    observe: Callable[[Client], Observer | None] | None = None
    jobs: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for a declaration that cannot work."""
        if self.deadline <= timedelta(0):
            raise ValueError("an adapter needs a deadline above 0")
