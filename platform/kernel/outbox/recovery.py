"""What the relay looks for: runs that need another message, and unreadable messages."""

import logging
import time
from typing import Final

from redis.exceptions import RedisError

from kernel.jobs.publisher import Publisher
from kernel.jobs.unreadable import UnreadableMessages
from kernel.outbox.outbox import Outbox

log = logging.getLogger(__name__)

BATCH: Final = 100
# A lease ends at most 15 s after its worker died; within 30 s the run must be back.
EXPIRED_EVERY_SECONDS: Final = 2.0
EXPIRED_LEASE_SECONDS: Final = 10
LOST_EVERY_SECONDS: Final = 5.0
# A worker begins a message at once. If all queues are empty, a run that waits longer is lost.
LOST_AFTER_SECONDS: Final = 15
# While the queues are not empty, it asks for their lengths no more often.
BUSY_SECONDS: Final = 1.0
REPLAYS_EVERY_SECONDS: Final = 5.0
UNREADABLE_EVERY_SECONDS: Final = 5.0
UNREADABLE_BATCH: Final = 10  # each has up to 8 KiB


class Recovery:
    """What a relay does besides events; several can run in parallel."""

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        unreadable: UnreadableMessages,
        *,
        lost_after_seconds: int = LOST_AFTER_SECONDS,
    ) -> None:
        self._outbox, self._publisher, self._unreadable = outbox, publisher, unreadable
        self._lost_after = lost_after_seconds
        self._looked: dict[str, float] = {}
        self._busy_until = 0.0

    async def turn(self) -> None:
        """Look for each kind whose time has come; after a full batch look again at the next turn.

        Raises BrokerUnavailable, and the errors of Outbox.
        """
        for name, look, seconds in (
            ("expired", self._publish_expired, EXPIRED_EVERY_SECONDS),
            ("lost", self._publish_lost, LOST_EVERY_SECONDS),
            ("replays", self._publish_replays, REPLAYS_EVERY_SECONDS),
            ("unreadable", self._keep_unreadable, UNREADABLE_EVERY_SECONDS),
        ):
            now = time.monotonic()
            if now - self._looked.get(name, float("-inf")) < seconds:
                continue
            if not await look():
                self._looked[name] = now

    async def _publish_expired(self) -> bool:
        """Publish again the runs whose worker died, at the front of their queues.

        Their own messages come back only after the broker's visibility timeout.
        """
        expired = await self._outbox.claim_expired(batch=BATCH, lease_seconds=EXPIRED_LEASE_SECONDS)
        if expired:
            await self._publisher.publish(expired, first=True)
            await self._outbox.settle_expired(expired)
            log.warning("Jobs of lost workers are published again", extra={"number": len(expired)})
        return len(expired) == BATCH

    async def _publish_lost(self) -> bool:
        """Publish again the runs that wait and have no message in the broker.

        The broker lost it, or a worker that died had taken it. This happens only while the queues
        are empty: a run in a long queue is not lost.
        """
        if time.monotonic() < self._busy_until:
            return True  # it has not looked
        if not await self._publisher.idle():
            self._busy_until = time.monotonic() + BUSY_SECONDS
            return True
        lost = await self._outbox.lost(untouched_seconds=self._lost_after, batch=BATCH)
        await self._publisher.publish(lost)
        if lost:
            log.warning("Lost jobs are published again", extra={"number": len(lost)})
        return len(lost) == BATCH

    async def _publish_replays(self) -> bool:
        """Publish the failed runs whose time has come; one that gets lost is found as lost."""
        due = await self._outbox.due_replays(batch=BATCH)
        await self._publisher.publish(due)
        return len(due) == BATCH

    async def _keep_unreadable(self) -> bool:
        """Move messages that no worker can read from the broker into the database.

        They are removed from the broker when they are stored, so none is lost.
        """
        try:
            found = await self._unreadable.oldest(UNREADABLE_BATCH)
            if found:
                await self._outbox.keep_unreadable(found)
                await self._unreadable.remove(found)
        except (RedisError, OSError) as error:
            # They can wait, and jobs need not: the broker does not count as unavailable.
            log.warning("Dead letters wait in the broker", extra={"reason": repr(error)})
            return False
        return len(found) == UNREADABLE_BATCH
