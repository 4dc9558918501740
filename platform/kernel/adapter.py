"""What a module of `platform/adapters/` states: one client of a system outside."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Generic, TypeVar

from kernel.config.own import OwnSettings
from kernel.core.durations import seconds

Client = TypeVar("Client")
Settings = TypeVar("Settings", bound=OwnSettings)

_DEADLINE: Final = seconds(5)


@dataclass(frozen=True, kw_only=True)
class Adapter(Generic[Settings, Client]):
    """One outside client: handlers and jobs ask for it by its type, `client`.

    `make` makes it out of its settings and its deadline in seconds, once a process and without any
    request; `close` ends it with the process. `deadline` bounds each call of it, which the client
    itself sees to. `ping` says for `/health` whether the system answers; None: it is not in use.
    `jobs=False` keeps it from jobs.
    """

    client: type[Client]
    settings: type[Settings]
    make: Callable[[Settings, float], Client]
    close: Callable[[Client], Awaitable[None]] | None = None
    deadline: timedelta = _DEADLINE
    ping: Callable[[Client], Awaitable[bool | None]] | None = None
    jobs: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if self.deadline <= timedelta(0):
            raise ValueError("an adapter has a deadline above 0")
