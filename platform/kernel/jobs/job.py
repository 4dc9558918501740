"""`@job`: a function that runs after an event, or on a schedule."""

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final, Literal, get_type_hints
from uuid import UUID, uuid5

from kernel.core.durations import minutes, seconds
from kernel.events import Event, JobDue
from kernel.jobs.schedule import InvalidJob, Schedule

Queue = Literal["default", "cpu"]
QUEUES: Final[tuple[Queue, ...]] = ("default", "cpu")
# The time between a job's timeout, which the job can handle, and the kill of its process.
HARD_LIMIT_MARGIN: Final = seconds(15)
_TIMEOUT: Final = minutes(5)
_BACKOFF: Final = seconds(5)
_BACKOFF_CAP: Final = minutes(2)
_RUNS: Final = UUID("6f0a5a0e-8a1c-4a6b-9d5e-2b1f6c1d7e55")  # arbitrary: the namespace of run ids


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of one slice.

    A parameter whose name is a field of the event gets the field's value; all other parameters are
    services: `async def send(user_id: UUID, db: AsService, mailer: Mailer)`.
    """

    function: Callable[..., Any]
    on: type[Event]
    schedule: Schedule | None
    once_per: str | None
    timeout: timedelta
    retries: int
    retry_every: timedelta | None
    backoff: timedelta
    backoff_cap: timedelta
    queue: Queue

    @cached_property
    def slice(self) -> str:
        """The slice's folder, from the module: features.signup.tasks is `signup`."""
        return self.function.__module__.split(".")[-2]

    @property
    def name(self) -> str:
        """The job's name in queues, records and metrics: `signup.send_welcome_email`."""
        return f"{self.slice}.{self.function.__name__}"

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def hard_limit(self) -> timedelta:
        """The time after which the process of a run is killed."""
        return self.timeout + HARD_LIMIT_MARGIN

    @property
    def longest_delay(self) -> timedelta:
        """The longest delay between two attempts."""
        return self.backoff_cap if self.retry_every is None else self.retry_every

    @cached_property
    def event_parameters(self) -> frozenset[str]:
        """The names of the parameters that the event fills."""
        return frozenset(inspect.signature(self.function).parameters) & set(self.on.model_fields)

    @cached_property
    def services(self) -> dict[str, type]:
        """The other parameters, and the types of their services."""
        hints = get_type_hints(self.function)
        names = inspect.signature(self.function).parameters
        return {
            name: hints.get(name, object) for name in names if name not in self.event_parameters
        }

    def run_id(self, event: Event, event_id: int, item: int) -> UUID:
        """Return the id of the run for this event; a repeated event has the same run."""
        key = getattr(event, self.once_per) if self.once_per else f"{event_id}/{item}"
        return uuid5(_RUNS, f"{self.name}/{self.once_per}/{key}")

    def delay(self, attempt: int) -> timedelta:
        """Return the delay after the failure of this attempt (counted from 1).

        Exponential backoff with full jitter, within [0, min(cap, base·2^(attempt-1))], unless the
        job sets a fixed delay:
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        if self.retry_every is not None:
            return self.retry_every
        longest: timedelta = min(self.backoff_cap, self.backoff * 2 ** min(attempt - 1, 20))
        return longest * random.random()  # noqa: S311 - jitter, not a secret


def job(
    *,
    on: type[Event] | None = None,
    schedule: Schedule | None = None,
    once_per: str | None = None,
    timeout: timedelta = _TIMEOUT,
    retries: int = 3,
    retry_every: timedelta | None = None,
    backoff: timedelta = _BACKOFF,
    backoff_cap: timedelta = _BACKOFF_CAP,
    queue: Queue | None = None,
) -> Callable[[Callable[..., Any]], Job]:
    """Make a job of a function: run after an event (`on`), or on a schedule (`schedule`).

    `once_per` names a field of the event: the job then runs once for each value of it, ever.
    Without it, the job runs once for each event. `timeout` limits one attempt. A failed attempt is
    retried `retries` times, after `retry_every` or an exponential backoff.

    Async jobs are in the queue `default`: many of them run at a time on one event loop, which they
    must not block. Other functions are in the queue `cpu`: each has a process of its own. An async
    job that would delay others can be there, too. Raises InvalidJob for settings that contradict
    each other.
    """
    if (on is None) == (schedule is None):
        raise InvalidJob("a job needs either on= or schedule=")
    if retries < 0 or timeout <= timedelta(0):
        raise InvalidJob("a job needs retries of 0 or more, and a timeout above 0")
    event = on or JobDue
    if schedule is not None:
        once_per = once_per or "slot"
    if once_per is not None and once_per not in event.model_fields:
        raise InvalidJob(f"once_per={once_per!r} is not a field of {event.__name__}")

    def make(function: Callable[..., Any]) -> Job:
        waits = inspect.iscoroutinefunction(function)
        if queue == "default" and not waits:
            raise InvalidJob(
                f"{function.__name__} is not async, so it would block the event loop of the queue "
                'default: write `async def`, or queue="cpu".'
            )
        return Job(
            function=function,
            on=event,
            schedule=schedule,
            once_per=once_per,
            timeout=timeout,
            retries=retries,
            retry_every=retry_every,
            backoff=backoff,
            backoff_cap=backoff_cap,
            queue=queue or ("default" if waits else "cpu"),
        )

    return make
