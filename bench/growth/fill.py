"""Fills a database as it looks after a year: users, posts, events, runs and what belongs to them.

Rows have ids that can be computed: `row_id("user", 3)` here, `md5('user3')::uuid` in SQL.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import asyncpg

_PART: Final = 500_000
WRITER, POSTER, READER = 1, 2, 3
"""Users: a tenth of all posts are drafts of the first, a hundredth are the second's, published."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers of rows; events and runs are spread over 91 days, so some are to be archived."""

    posts: int = 1_000_000
    users: int = 200_000
    events: int = 5_000_000
    runs: int = 1_000_000
    waiting: int = 200_000


@dataclass(frozen=True)
class _Table:
    """A table's rows: `{n}` is the number of a row, from 1 to `rows`."""

    name: str
    rows: int
    columns: str
    values: str
    parts: int = field(default=_PART)


def row_id(kind: str, number: int) -> UUID:
    """Return the id of a row, as md5() of PostgreSQL makes it."""
    digest = hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False)
    return UUID(digest.hexdigest())


async def fill(connection: asyncpg.Connection, sizes: Sizes, say: Callable[[str], None]) -> None:
    """Fill an empty, migrated database and collect its statistics; `say` gets progress messages."""
    # Without triggers and checks of foreign keys: they would write millions of events more.
    await connection.execute("set session_replication_role = replica")
    for table in _tables(sizes):
        for first in range(1, table.rows + 1, table.parts):
            last = min(first + table.parts - 1, table.rows)
            began = time.perf_counter()
            await connection.execute(
                f"insert into {table.name} ({table.columns}) "  # noqa: S608 - our own text
                f"select {table.values} from generate_series({first}, {last}) as n",
                timeout=None,
            )
            seconds = time.perf_counter() - began
            say(f"{table.name:<32} {last:>11,} of {table.rows:>11,} rows {seconds:6.1f} s")
    await connection.execute("set session_replication_role = origin")
    await connection.execute(_COUNTED)
    say("collecting statistics")
    await connection.execute("vacuum (analyze)", timeout=None)


_COUNTED: Final = """
insert into quotas.usage (author_id, bytes, day, posts_that_day)
select author_id, sum(octet_length(title) + octet_length(content)), current_date - 1, 0
from public.posts group by 1;
insert into files.usage (owner_id, files, bytes)
select owner_id, count(*), sum(size) from public.files group by 1;
select totals.repair(name) from totals.lists;
"""


def _tables(sizes: Sizes) -> list[_Table]:
    users = sizes.users
    user = f"md5('user' || n % {users} + 1)::uuid"
    day = "interval '1 day'"
    spread = "now() - {} * n / {}".format  # a time for each row, from now on back
    return [
        _Table(
            "auth.users",
            users,
            "id, email, email_confirmed_at, confirmation_token, recovery_token, "
            "encrypted_password, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, "
            "instance_id, aud, role",
            "md5('user' || n)::uuid, 'user' || n || '@example.com', now(), '', '', "
            f"repeat('x', 60), '{{}}', '{{}}', {spread('365 * ' + day, users)}, now(), "
            "'00000000-0000-0000-0000-000000000000', 'authenticated', 'authenticated'",
        ),
        _Table(
            "public.profiles", users, "id, display_name", "md5('user' || n)::uuid, 'User ' || n"
        ),
        _Table(
            "auth.sessions",
            users,
            "id, user_id, created_at, refreshed_at, user_agent, ip",
            "md5('session' || n)::uuid, md5('user' || n)::uuid, now(), now(), 'agent', '192.0.2.1'",
        ),
        _Table(
            "public.posts",
            sizes.posts,
            "id, title, content, published, author_id, created_at, updated_at, first_published_at",
            "md5('post' || n)::uuid, 'Post ' || n, repeat('word ', 60), "
            "n % 10 <> 0 and n % 20 <> 7, "
            f"case when n % 10 = 0 and n <= 10000 then md5('user{WRITER}')::uuid "
            f"when n % 100 = 1 then md5('user{POSTER}')::uuid "
            f"else md5('user' || n % {users - 2} + 3)::uuid end, "
            f"{spread('365 * ' + day, sizes.posts)}, now(), "
            "case when n % 10 <> 0 and n % 20 <> 7 then now() end",
        ),
        *_jobs(sizes),
        _Table(
            "audit.entries",
            5 * users,
            "at, action, user_id, actor_id",
            f"{spread('31 * ' + day, 5 * users)}, 'login', {user}, {user}",
        ),
        _Table(
            "identity.revoked_sessions",
            users // 10,
            "id, user_id, expires_at",
            f"md5('ended' || n)::uuid, {user}, now() + {day} - 2 * {day} * n / {users // 10}",
        ),
        _Table(
            "identity.proven_addresses",
            users,
            "user_id, address_hash",
            "md5('user' || n)::uuid, identity.address_hash('user' || n || '@example.com')",
        ),
        _Table(
            "identity.known_clients",
            2 * users,
            "user_id, kind, value, seen_at",
            f"{user}, case when n > {users} then 'network' else 'device' end, 'here', "
            f"{spread('91 * ' + day, 2 * users)}",
        ),
        _Table(
            "identity.used_refresh_tokens",
            users,
            "hash, session_id, used_at, child_expires_at",
            f"md5('token' || n)::uuid, md5('session' || n)::uuid, {spread('8 * ' + day, users)}, 0",
        ),
        _Table(
            "identity.mails",
            users // 4,
            "id, recipient, kind, security, at",
            f"md5('mail' || n)::uuid, identity.address_hash('user' || n || '@example.com', true), "
            f"'a.mail', n % 2 = 0, {spread('2 * ' + day, users // 4)}",
        ),
        _Table(
            "identity.mail_requests",
            users // 10,
            "id, purpose, user_id, email, requested_at, opened_at",
            "md5('request' || n)::uuid, "
            "(array['password_reset', 'signup', 'email_change'])[n % 3 + 1], "
            f"md5('user' || n)::uuid, 'new' || n || '@example.com', "
            f"{spread('2 * ' + day, users // 10)}, {spread('2 * ' + day, users // 10)}",
        ),
        _Table(
            "identity.mailed_tokens",
            users // 10,
            "id, hash, purpose, user_id, source, email, expires_at",
            "md5('mailed' || n)::uuid, 'hash', 'password_reset', md5('user' || n)::uuid, "
            "md5('request' || n)::uuid, 'user' || n || '@example.com', "
            f"now() + {day} - 3 * {day} * n / {users // 10}",
        ),
        _Table(
            "identity.notices",
            users // 20,
            "id, kind, user_id, email, created_at",
            f"md5('notice' || n)::uuid, 'email_changed', {user}, 'old@example.com', "
            f"{spread('2 * ' + day, users // 20)}",
        ),
        _Table(
            "identity.login_notices",
            users // 20,
            "id, user_id, device, created_at",
            f"md5('login' || n)::uuid, {user}, 'agent', {spread('2 * ' + day, users // 20)}",
        ),
        _Table("identity.claims", users // 10, "user_id, number", f"{user}, 1"),
        _Table(
            "idempotency.keys",
            users // 4,
            "caller, slice, key, fingerprint, stored, created_at",
            f"{user}, 'create_post', 'key' || n, '', '{{}}', {spread('2 * ' + day, users // 4)}",
        ),
        *_files(sizes.users),
        *_kept(users),
    ]


def _jobs(sizes: Sizes) -> list[_Table]:
    events, runs, waiting = sizes.events, sizes.runs, sizes.waiting
    item = "jsonb_build_array(jsonb_build_object('post_id', md5('post' || n)::uuid))"
    age = f"interval '91 days' * ({events} - n) / {events}"
    return [
        _Table(
            "outbox.events",
            events,
            "topic, items, request_id, created_at, not_before, dropped_at, published_at",
            f"'post_changed', {item}, "
            f"md5(n::text), now() - {age}, now() - {age}, now() - {age}, now() - {age}",
        ),
        _Table(
            "outbox.events",
            waiting,
            "topic, items, request_id, created_at, not_before",
            f"'post_changed', {item}, md5(n::text), {_ago(waiting)}, {_ago(waiting)}",
        ),
        _Table(  # they wait for a cache that is away
            "outbox.events",
            waiting // 10,
            "topic, items, created_at, not_before, published_at",
            "'post_changed', '[]', now() - interval '2 hours', now() - interval '2 hours', now()",
        ),
        _Table(
            "jobs.runs",
            runs,
            "id, job, event_id, item, state, attempts, holder, held_until, queued_at, started_at, "
            "touched_at, finished_at, replay_at",
            f"""md5('run' || n)::uuid, 'a.job', n, 0,
            case when n <= {runs // 50} then 'queued' when n <= {runs // 50 + 32} then 'running'
              when n % 100 = 0 then 'failed' else 'succeeded' end,
            1,
            case when n > {runs // 50} and n <= {runs // 50 + 32} then 'host:' || n || ':1' end,
            case when n > {runs // 50} and n <= {runs // 50 + 32} then now() + interval '15 s' end,
            now() - interval '91 days' * n / {runs}, now(),
            now() - interval '91 days' * n / {runs},
            case when n > {runs // 50 + 32} then now() - interval '91 days' * n / {runs} end,
            case when n % 100 = 0 and n > {runs // 50 + 32} and n % 1000 = 0 then now() end""",
        ),
        _Table(
            "jobs.dead_letters",
            runs // 50,
            "id, job, event_id, item, error, attempts, first_at, last_at, state, settled_at",
            f"md5('letter' || n)::uuid, 'a.job', n, 0, 'failed', 4, now(), "
            f"now() - interval '91 days' * n / {runs // 50}, "
            "case when n % 2 = 0 then 'replayed' else 'waiting' end, "
            f"case when n % 2 = 0 then now() - interval '91 days' * n / {runs // 50} end",
        ),
        _Table("jobs.slots", 20_000, "job, slot", "'a.job', now() - n * interval '10 minutes'"),
    ]


def _files(number: int) -> list[_Table]:
    """Return files: 1,000 are the WRITER's, the quota, of which half are ready."""
    state = "case when n % 20 = 0 then 'ready' when n % 10 = 0 then 'pending' else 'ready' end"
    return [
        _Table(
            "public.files",
            number,
            "id, owner_id, name, content_type, size, state, created_at",
            f"md5('file' || n)::uuid, case when n % 10 = 0 then md5('user{WRITER}')::uuid "
            f"else md5('user' || n % {number - 2} + 3)::uuid end, "
            f"'a.txt', 'text/plain', 5, {state}, now() - interval '1 hour' * n / {number}",
        ),
        _Table(
            "storage.objects",
            number,
            "bucket_id, name, created_at",
            "'files', md5('file' || n)::uuid::text || case when n % 20 = 10 then 'x' else '' end, "
            "now() - interval '9 hours'",
        ),
    ]


def _kept(users: int) -> list[_Table]:
    return [
        _Table(
            "archive.events",
            users // 2,
            "archived_at, content",
            "now(), jsonb_build_object('id', n, 'items', jsonb_build_array(jsonb_build_object("
            "'user_id', md5('gone' || n % 20000)::uuid)))",
        ),
        _Table(
            "retention.deleted_users",
            20_000,
            "user_id, deleted_at",
            "md5('gone' || n)::uuid, now() - interval '100 days' * n / 20000",
        ),
        _Table(
            "exports.requests",
            users // 10,
            "id, user_id, event_id, requested_at, ready_at, expires_at, bytes, chunks",
            "md5('export' || n)::uuid, md5('user' || n)::uuid, n, now(), now(), "
            f"now() + interval '7 days' - interval '10 days' * n / {users // 10}, 5, 1",
        ),
        _Table(
            "exports.chunks",
            users // 10,
            "export_id, number, content",
            "md5('export' || n)::uuid, 0, 'bytes'::bytea",
        ),
    ]


def _ago(waiting: int) -> str:
    return f"now() - interval '1 hour' * ({waiting} + 1 - n) / {waiting}"
