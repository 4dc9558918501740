"""`./app bench --relay`: a backlog, the time from a write to its job, and what idling costs."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from bench.errors import BenchError
from bench.processors import cpu_seconds
from bench.relay.system import System, running

Say = Callable[[str], None]

EVENTS: Final = 20_000
_SETTLE_SECONDS: Final = 3.0
_IDLE_SECONDS: Final = 30.0
_MINUTE: Final = 60.0
_WRITES: Final = 30
_PAUSE_SECONDS: Final = (
    0.3,
    1.3,
)  # between writes: longer than the relay waits, and any part of it
_PERSON: Final = {"email": "author@example.com", "password": "correct horse 9"}
_POST: Final = {"title": "A post", "content": "x", "published": True}
# From the second batch on, so that the time until the relays notice the backlog does not count.
_SECONDS: Final = """
select extract(epoch from max(delivered_at) - min(delivered_at))::float from outbox.events
"""
# Both by the database's clock, when the transaction began.
_LATENCIES: Final = """
select extract(epoch from r.started_at - e.created_at)::float as seconds
from jobs.runs r join outbox.events e on e.id = r.event_id
where r.job = 'notify_post_published.notify_author' and r.started_at is not null
"""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How fast relays delivered a backlog; `cpu_us` is that of their own processes, an event."""

    relays: int
    events: int
    per_second: float
    cpu_us: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds from a write to the start of its job, on an idle system."""

    writes: int
    p50_ms: float
    max_ms: float


@dataclass(frozen=True, kw_only=True)
class Idle:
    """What one idle relay costs in a minute."""

    cpu_seconds: float
    transactions: float
    redis_commands: float


@dataclass(frozen=True)
class Figures:
    """All of them."""

    backlogs: Sequence[Backlog]
    latency: Latency
    idle: Idle

    def table(self) -> list[str]:
        """Return the report for people."""
        idle, latency = self.idle, self.latency
        return [
            *(
                f"backlog of {one.events:,} events, {one.relays} relays: "
                f"{one.per_second:,.0f} events/s, {one.cpu_us:.0f} µs CPU an event"
                for one in self.backlogs
            ),
            (
                f"write to start of its job, {latency.writes} writes on an idle system: "
                f"P50 {latency.p50_ms:.0f} ms, longest {latency.max_ms:.0f} ms"
            ),
            (
                f"one idle relay, a minute: {idle.cpu_seconds:.2f} s CPU, "
                f"{idle.transactions:.0f} SQL transactions, "
                f"{idle.redis_commands:.0f} Redis commands"
            ),
        ]

    def lines(self) -> list[str]:
        """Return JSON Lines: one for each backlog, the latency, the idle relay."""
        return [
            *(json.dumps({"backlog": asdict(one)}) for one in self.backlogs),
            json.dumps({"latency": asdict(self.latency)}),
            json.dumps({"idle": asdict(self.idle)}),
        ]


def measure_relay(root: Path, *, say: Say, events: int = EVENTS) -> Figures:
    """Measure on separate stacks. Raises BenchError and StackError."""
    return asyncio.run(_measure(root, events, say))


async def _measure(root: Path, events: int, say: Say) -> Figures:
    say("an idle relay")
    async with running(root) as system:
        idle = await _idle(system)
    say("from a write to its job")
    async with running(root) as system:
        latency = await _latency(system)
    backlogs = []
    for relays in (1, 3):
        say(f"a backlog, {relays} relays")
        async with running(root) as system:
            backlogs.append(await _backlog(system, relays, events))
    return Figures(backlogs, latency, idle)


async def _idle(system: System) -> Idle:
    (pid,) = await system.relays(1)
    await asyncio.sleep(_SETTLE_SECONDS)
    cpu, (transactions, commands) = cpu_seconds(pid), await system.counted()
    await asyncio.sleep(_IDLE_SECONDS)
    cpu, (later, more) = cpu_seconds(pid) - cpu, await system.counted()
    of_minute = _MINUTE / _IDLE_SECONDS
    return Idle(
        cpu_seconds=round(cpu * of_minute, 3),
        transactions=(later - transactions - 1) * of_minute,  # without our own
        redis_commands=(more - commands - 2) * of_minute,
    )


async def _latency(system: System) -> Latency:
    await system.relays(1)
    await system.worker()
    await system.api()
    apikey = {"apikey": system.gateway.config.anon_key}
    async with httpx.AsyncClient(timeout=10) as client:
        signed_up = await client.post(
            f"{system.gateway.url}/auth/v1/signup", json=_PERSON, headers=apikey
        )
        bearer = {"Authorization": f"Bearer {signed_up.raise_for_status().json()['access_token']}"}
        await asyncio.sleep(_SETTLE_SECONDS)
        for _ in range(_WRITES):
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - no secret
            answer = await client.post(f"{system.url}/api/v1/posts", json=_POST, headers=bearer)
            answer.raise_for_status()
    await asyncio.sleep(_SETTLE_SECONDS)
    found = [row["seconds"] * 1000 for row in await system.sql.fetch(_LATENCIES)]
    if len(found) < _WRITES:
        raise BenchError(f"Only {len(found)} of {_WRITES} jobs have started: no figures.")
    return Latency(writes=_WRITES, p50_ms=round(median(found), 1), max_ms=round(max(found), 1))


async def _backlog(system: System, relays: int, events: int) -> Backlog:
    pids = await system.relays(relays)
    before = sum(map(cpu_seconds, pids))
    await system.put(events)
    await system.drained()
    cpu = sum(map(cpu_seconds, pids)) - before
    seconds = await system.sql.fetchval(_SECONDS)
    return Backlog(
        relays=relays,
        events=events,
        per_second=round(events / seconds, 1),
        cpu_us=round(cpu / events * 1e6, 1),
    )
