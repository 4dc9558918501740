"""How fast relays share a backlog: claims and settlements of batches, without cache and broker."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg

_BATCH: Final = 100
_CLAIM: Final = "select id, claim from public.claim_events($1, 30, true, true)"
_SETTLE: Final = "select public.settle_events($1, $2, '[]')"
# As `fill` writes them, without triggers of tables.
_PUT: Final = """
insert into outbox.events (topic, items)
select 'post_changed', jsonb_build_array(jsonb_build_object('post_id', gen_random_uuid()))
from generate_series(1, $1::integer)
"""


@dataclass(frozen=True, kw_only=True)
class Drain:
    """A backlog: the events that wait at first, those that were settled, and how fast."""

    waiting: int
    relays: int
    settled: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Events a second, of all relays."""
        return self.settled / self.seconds

    def line(self) -> str:
        """Return it for people."""
        return (
            f"{self.waiting:>9,} waiting, {self.relays} relays: "
            f"{self.per_second:8,.0f} events/s over {self.settled:,} events"
        )


async def drain(
    url: str, *, waiting: int, relays: int, events: int, say: Callable[[str], None]
) -> Drain:
    """Settle about `events` events by several relays, with so many waiting at the beginning."""
    connections = [await asyncpg.connect(url) for _ in range(relays)]
    try:
        there = await connections[0].fetchval(
            "select count(*) from outbox.events where delivered_at is null"
        )
        if there < waiting:
            await connections[0].execute(_PUT, waiting - there)
        elif there > waiting:
            await connections[0].execute(
                "update outbox.events set dropped_at = now(), published_at = now() where id in "
                "(select id from outbox.events where delivered_at is null limit $1)",
                there - waiting,
            )
        await connections[0].execute("vacuum (analyze) outbox.events")
        began = time.perf_counter()
        each = [_relay(one, events // relays) for one in connections]
        settled = sum(await asyncio.gather(*each))
        found = Drain(
            waiting=waiting,
            relays=relays,
            settled=settled,
            seconds=time.perf_counter() - began,
        )
    finally:
        for one in connections:
            await one.close()
    say(found.line())
    return found


async def _relay(connection: asyncpg.Connection, events: int) -> int:
    settled = 0
    while settled < events:
        rows = await connection.fetch(_CLAIM, _BATCH)
        if not rows:
            break
        results = [{"id": row["id"], "dropped": True, "published": True} for row in rows]
        await connection.execute(_SETTLE, rows[0]["claim"], json.dumps(results))
        settled += len(rows)
    return settled
