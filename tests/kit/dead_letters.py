"""Runs that failed and are dead letters, and what tests ask about them."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg

_FAIL = """
insert into jobs.runs (id, job, event_id, item, state, attempts, error, queued_at, finished_at)
values ($1, $2, $3, 0, 'failed', 4, $4, now() - interval '1 hour', now())
"""


async def failed_run(
    database: Any, job: str = "nobody.knows_it", *, error: str = "RuntimeError: out of paper"
) -> UUID:
    """Store a run that failed, with its event; return its id, which is the dead letter's, too."""
    run_id = uuid4()
    await database.execute(
        "select outbox.put('job_due', jsonb_build_array(jsonb_build_object('job', $1::text)))", job
    )
    event = await database.fetchval("select max(id) from outbox.events")
    await database.execute(
        "update outbox.events set dropped_at = now(), published_at = now() where id = $1", event
    )
    await database.execute(_FAIL, run_id, job, event, error)
    return run_id


async def letter_of(database: Any, letter: UUID) -> asyncpg.Record:
    """Return the row of a dead letter."""
    query = "select * from jobs.dead_letters where id = $1"
    found: asyncpg.Record = await database.fetchrow(query, letter)
    return found
