"""Backup and recovery, rehearsed: the machines are lost, and others begin from the backups."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from devstack.testing import GatewayThread, Mailbox, Servers, start_smtp
from kit.people import PASSWORD, new_email
from kit.postgres import program
from kit.process import APPLICATION, PYTHONPATH, ROOT
from kit.servers import REDIS_SERVER, make_database
from kit.system import System
from kit.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("redis-cli") is None, reason="apt-get install redis-server, as .ci/run does"
    ),
]

BACKUP = ROOT / "deploy" / "backup"
SETTINGS: dict[str, Any] = {"QUOTA_POSTS_PER_DAY": "1000000", "LOG_LEVEL": "WARNING"}
MANY = """
insert into public.posts (title, content, published, author_id)
select 'Post ' || number, repeat(md5(number::text), 32), false, $1
from generate_series(1, $2) number
"""


@pytest.fixture
def programs(tmp_path):
    """A PATH with the programs of the images that run the scripts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        (folder / name).symlink_to(program(name))
    (folder / "valkey-cli").symlink_to(shutil.which("redis-cli"))
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
async def smtp():
    mails = Mailbox(capacity=1_000_000)
    async with await start_smtp(0, mails.add) as server:
        yield server.sockets[0].getsockname()[1], mails


async def script(name, *arguments, **environment):
    done = await asyncio.to_thread(
        partial(
            subprocess.run,
            ["sh", BACKUP / name, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def migrate(url):
    process = await asyncio.create_subprocess_exec(
        *(*APPLICATION.argv, "migrate"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


def posts_mailed(mails):
    """Count the mails about each post."""
    found = [re.search(r"/posts/([0-9a-f-]{36})", mail.text) for mail in mails.newest_first()]
    return Counter(one[1] for one in found if one)


async def enter(client, call, email):
    answer = await client.post(f"/auth/{call}", json={"email": email, "password": PASSWORD})
    assert answer.is_success, answer.text
    data = answer.json()["data"]
    return {"Authorization": f"Bearer {data['access_token']}"}, data["user"]["id"]


async def write(client, caller):
    body = {"title": "Kept", "content": "", "published": True}
    answer = await client.post("/posts", json=body, headers=caller)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["id"]


async def statuses(client, *callers):
    return [(await client.get("/users/me", headers=one)).status_code for one in callers]


@dataclass
class Lost:
    """What the lost system had: whom, which posts, and where its backups are."""

    email: str
    user_id: str
    callers: dict[str, Any] = field(default_factory=dict)
    posts: dict[str, Any] = field(default_factory=dict)


async def live(old, mails, many):
    """Run a system; leave a job that is done, one in the broker, and an event in the outbox."""
    relay, worker = await old.start("relay", **SETTINGS), await old.start("worker", **SETTINGS)
    async with old.api(**SETTINGS) as (_, client):
        email = new_email()
        caller, user_id = await enter(client, "signup", email)
        lost = Lost(email, user_id, {"open": caller})
        for name in ("ended before", "ended after"):
            lost.callers[name], _ = await enter(client, "login", email)
        lost.posts["done"] = await write(client, caller)
        await until(lambda: posts_mailed(mails)[lost.posts["done"]] == 1)
        await leave(client, lost.callers["ended before"])
        await until(partial(settled, old))
        worker.signal(signal.SIGTERM)
        await worker.ended()
        lost.posts["in the broker"] = await write(client, caller)
        await until(lambda: old.queued() == 1)
        relay.signal(signal.SIGTERM)
        await relay.ended()
        lost.posts["in the outbox"] = await write(client, caller)
        await fill(old.database_url, user_id, many)
    return lost


async def fill(url, user_id, many):
    """Add posts that no event tells of."""
    sql = await asyncpg.connect(url)
    try:
        await sql.execute("set session_replication_role = replica")
        await sql.execute(MANY, user_id, many, timeout=900)
    finally:
        await sql.close()


async def go_on(old, lost):
    """Do what no backup has."""
    async with old.api(**SETTINGS) as (_, client):
        lost.posts["after the backup"] = await write(client, lost.callers["open"])
        await leave(client, lost.callers["ended after"])


async def leave(client, caller):
    assert (await client.post("/auth/logout", headers=caller)).status_code == 204


async def rehearse(old, folder, programs, smtp, many):
    """Run a system, back it up, lose it, and bring it back on other machines.

    Returns the seconds from the first step of the recovery until everything works.
    """
    old.smtp_port, mails = smtp
    backups = folder / "backups"
    backups.mkdir()
    lost = await live(old, mails, many)
    began = time.monotonic()
    places = {"PATH": programs, "BACKUPS": str(backups), "KEEP": "2"}
    dump = await script("database.sh", **places, DATABASE_URL=old.database_url)
    broker = {"BROKER_HOST": "127.0.0.1", "BROKER_PORT": str(old.broker.port)}
    snapshot = await script("broker.sh", **places, **broker)
    print(  # noqa: T201 - figures for docs/OPERATIONS.md: pytest -s
        f"\n{many} posts: backup {time.monotonic() - began:.1f} s, {size(backups) / 1e6:.1f} MB"
    )
    await go_on(old, lost)
    await old.close()  # the machines are gone
    began = time.monotonic()
    with Servers(REDIS_SERVER) as machine:
        url = await make_database(machine.postgres_url, "application", template="template0")
        await script("restore.sh", str(backups / dump), PATH=programs, DATABASE_URL=url)
        print(f"restored after {time.monotonic() - began:.1f} s")  # noqa: T201 - as above
        code, output = await migrate(url)
        assert code == 0, output
        assert "up to date" in output
        (folder / "new").mkdir()
        with GatewayThread(replace(old.gateway.config, database_url=url)) as gateway:
            new = System(folder / "new", url, gateway, APPLICATION)
            new.smtp_port = old.smtp_port
            try:
                await bring_back_the_broker(new.broker, backups / snapshot)
                await new.cache.start()
                await new.start("relay", **SETTINGS)
                await new.start("worker", **SETTINGS)
                async with new.api(**SETTINGS) as (_, client):
                    await until(lambda: readiness(client))
                    back = time.monotonic() - began
                    print(f"everything works after {back:.1f} s")  # noqa: T201 - as above
                    await judge_posts(new, client, mails, lost.posts)
                    await judge_sessions(new, client, lost)
            finally:
                await new.close()
    return back


async def readiness(client):
    return (await client.get("/health/readiness")).status_code == 200


async def settled(system):
    rows = await system.fetch(
        "select 1 from jobs.runs where finished_at is null "
        "union all select 1 from outbox.events where delivered_at is null"
    )
    return not rows and system.queued() == 0


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def bring_back_the_broker(broker, snapshot):
    """Start it from the snapshot, then write a file of its own: docs/OPERATIONS.md."""
    broker.folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(snapshot, broker.folder / "dump.rdb")
    await broker.start("--appendonly", "no")
    broker.client.config_set("appendonly", "yes")
    await until(lambda: not broker.client.info("persistence")["aof_rewrite_in_progress"])
    assert broker.client.llen("default") == 1
    broker.kill()
    await broker.start()
    assert broker.client.llen("default") == 1


async def judge_posts(new, client, mails, posts):
    """Each job that was under way has one effect, and no other is repeated."""
    await until(lambda: posts_mailed(mails)[posts["in the broker"]])
    await until(lambda: posts_mailed(mails)[posts["in the outbox"]])
    await until(partial(settled, new))
    gone = posts.pop("after the backup")
    counted = posts_mailed(mails)
    assert [counted[one] for one in posts.values()] == [1, 1, 1]
    for one in posts.values():
        assert (await client.get(f"/posts/{one}")).status_code == 200
    assert (await client.get(f"/posts/{gone}")).status_code == 404


async def judge_sessions(new, client, lost):
    """A session that ended after the backup is back; so the operator ends all of them."""
    callers = lost.callers.values()
    assert await statuses(client, *callers) == [200, 401, 200]
    await enter(client, "login", lost.email)
    await new.fetch("delete from auth.sessions")
    await until(lambda: everyone_is_out(client, *callers))
    again, _ = await enter(client, "login", lost.email)
    assert await statuses(client, again) == [200]
    # Nor does PostgREST take the tokens of ended sessions: that is a setting of a role.
    assert await asked_directly(new.gateway, again) == 200
    assert await asked_directly(new.gateway, lost.callers["open"]) == 401


async def everyone_is_out(client, *callers):
    return set(await statuses(client, *callers)) == {401}


async def asked_directly(gateway, caller):
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        headers = {**caller, "apikey": gateway.config.anon_key}
        return (await client.get("/rest/v1/profiles", headers=headers)).status_code


async def test_everything_comes_back_from_the_backups(whole_system, tmp_path, programs, smtp):
    assert await rehearse(whole_system, tmp_path, programs, smtp, many=100) < 300


@pytest.mark.nightly
async def test_a_million_posts_come_back_within_five_minutes(
    whole_system, tmp_path, programs, smtp
):
    assert await rehearse(whole_system, tmp_path, programs, smtp, many=1_000_000) < 300


async def test_a_backup_that_fails_leaves_none_that_looks_whole(tmp_path, programs, postgres_url):
    kept = tmp_path / "database-20200101T000000Z"
    kept.mkdir()
    done = await asyncio.create_subprocess_exec(
        *("sh", BACKUP / "database.sh"),
        env={
            "PATH": programs,
            "BACKUPS": str(tmp_path),
            "KEEP": "1",
            "DATABASE_URL": f"{postgres_url}_{uuid4().hex}",
        },
        stderr=subprocess.PIPE,
    )
    _, said = await done.communicate()
    assert done.returncode != 0
    assert b"does not exist" in said
    assert list(tmp_path.glob("database-*")) == [kept]


async def test_only_the_last_backups_are_kept(tmp_path, programs, postgres_url, valkey):
    for day in range(1, 5):
        (tmp_path / f"database-2020010{day}T000000Z").mkdir()
        (tmp_path / f"broker-2020010{day}T000000Z.rdb").touch()
    url = await make_database(postgres_url, "kept", template="template0")
    places = {"PATH": programs, "BACKUPS": str(tmp_path), "KEEP": "3"}
    database = await script("database.sh", **places, DATABASE_URL=url)
    valkey.client.config_set("requirepass", "secret")
    server = {"BROKER_HOST": "127.0.0.1", "BROKER_PORT": str(valkey.port)}
    broker = await script("broker.sh", **places, **server, BROKER_PASSWORD="secret")
    assert sorted(path.name for path in tmp_path.glob("database-*")) == [
        "database-20200103T000000Z",
        "database-20200104T000000Z",
        database,
    ]
    assert sorted(path.name for path in tmp_path.glob("broker-*")) == [
        "broker-20200103T000000Z.rdb",
        "broker-20200104T000000Z.rdb",
        broker,
    ]
    files = list((tmp_path / database).iterdir())
    assert {path.name for path in files} == {"database.dump", "roles.sql", "settings.sql"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*files, tmp_path / broker])


async def test_no_password_of_a_role_is_in_a_backup(tmp_path, programs, postgres_url):
    sql = await asyncpg.connect(postgres_url)
    role = f"role_{uuid4().hex}"
    try:
        await sql.execute(f"create role {role} login password 'a secret of this role'")
        url = await make_database(postgres_url, "secrets", template="template0")
        name = await script(
            "database.sh", PATH=programs, BACKUPS=str(tmp_path), KEEP="1", DATABASE_URL=url
        )
        roles = (tmp_path / name / "roles.sql").read_text()
        assert role in roles
        assert "SCRAM-SHA-256" not in roles
    finally:
        with contextlib.suppress(asyncpg.PostgresError):
            await sql.execute(f"drop role {role}")
        await sql.close()
