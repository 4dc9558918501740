"""Checks at the start of the relay that the database has the topics that slices follow."""

import logging
from collections.abc import Iterator, Mapping

from kernel.boot.errors import BootError
from kernel.events import Event
from kernel.feature import Feature
from kernel.supabase import AsService
from kernel.supabase.errors import RECORDS_UNAVAILABLE

log = logging.getLogger(__name__)


async def require_topics(db: AsService, features: Mapping[str, Feature]) -> None:
    """Return if each event that slices follow has its topic in the database.

    Jobs, cached reads and live topics follow events. If the database does not answer, nothing is
    checked, because a relay starts without it, too.

    Raises BootError, which names the slice, the job, cached read or live topic, and what to do.
    """
    try:
        topics: dict[str, list[str]] = await db.rpc("event_topics")
    except RECORDS_UNAVAILABLE as error:
        log.warning("The topics of events are not checked", extra={"reason": repr(error)})
        return
    for name, feature in features.items():
        for what, event in _followed(feature):
            required = {key for key, one in event.model_fields.items() if one.is_required()}
            if event.topic not in topics:
                fault = f"the database has no topic {event.topic}"
            elif missing := sorted(required.difference(topics[event.topic])):
                fault = f"its topic {event.topic} has no field {missing[0]}"
            else:
                continue
            raise BootError(
                f"features/{name}: {what} follows {event.__name__}, and {fault}: run ./app "
                "migrate, or add a migration that says `select outbox.track(…)` (docs/TASKS.md)."
            )


def _followed(feature: Feature) -> Iterator[tuple[str, type[Event]]]:
    for job in feature.jobs:
        yield f"the job {job.function.__name__}", job.on
    for cached in feature.cached:
        for event in cached.drop_on:
            yield f"the cached read {cached.key}", event
    for topic in feature.topics:
        yield f"the live topic {topic.name}", topic.on
