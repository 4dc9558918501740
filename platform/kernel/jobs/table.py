"""The jobs of all slices: by name for workers, by event for the relay."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from kernel.events import Event, JobDue
from kernel.jobs.job import Job


class WithJobs(Protocol):
    """Anything with jobs, such as a Feature."""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Its jobs."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the broker: the id and job of a run, and the place of its event.

    The event's content stays in the database, so that queues hold no personal data. `traceparent`
    continues the trace of its request, where traces are on.
    """

    run_id: UUID
    job: str
    event_id: int
    item: int
    traceparent: str | None = field(default=None, compare=False)


class JobTable:
    """The jobs by name and by event."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.by_name: dict[str, Job] = {}
        self._listeners: dict[type[Event], list[Job]] = {}
        for one in jobs:
            self.by_name[one.name] = one
            self._listeners.setdefault(one.on, []).append(one)

    @classmethod
    def of(cls, features: Mapping[str, WithJobs]) -> "JobTable":
        """Return the table of these features' jobs."""
        return cls(one for feature in features.values() for one in feature.jobs)

    @property
    def scheduled(self) -> list[Job]:
        """The jobs with a schedule."""
        return [one for one in self.by_name.values() if one.schedule is not None]

    def messages(self, event: Event, event_id: int, item: int) -> list[Message]:
        """Return the messages to publish for an event, the `item`-th of its outbox row.

        Raises KeyError for the slot of an unknown job.
        """
        jobs = (
            [self.by_name[event.job]]
            if isinstance(event, JobDue)
            else self._listeners.get(type(event), [])
        )
        return [
            Message(one.run_id(event, event_id, item), one.name, event_id, item) for one in jobs
        ]
