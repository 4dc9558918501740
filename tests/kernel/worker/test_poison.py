"""Bytes that are no valid message become dead letters: no worker ends, and they never return."""

import base64
import copy
import json
from uuid import uuid4

import pytest
from redis import Redis

from kernel.jobs.transport import is_message
from kernel.jobs.unreadable import DEAD_LETTERS
from kit.waiting import until


def message(job="signup.send_welcome_email", **arguments):
    body = [[], {"event_id": 1, "item": 0} | arguments, {"callbacks": None, "chain": None}]
    return {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": job, "id": str(uuid4()), "eta": None, "retries": 0},
        "properties": {
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "default"},
        },
    }


def without(*path):
    changed = message()
    place = changed
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return changed


def having(value, *path):
    changed = copy.deepcopy(message())
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


NO_MESSAGES: tuple[object, ...] = (
    None, 1, "text", [], {}, {"body": "x"},
    without("properties"), without("headers"), without("body"),
    without("properties", "delivery_tag"), without("properties", "delivery_info"),
    without("headers", "task"), without("headers", "id"),
    having(7, "headers"), having("text", "properties"), having(None, "body"),
    having({"a": 1}, "properties", "delivery_tag"), having("!", "body"),
    having("e30=", "body"), having("application/x-python-serialize", "content-type"),
    having("no uuid", "headers", "id"), having("a\x00job", "headers", "task"),
    having("tomorrow", "headers", "eta"), having("2000-01-01", "headers", "expires"),
    having(["soon", 1], "headers", "timelimit"), having("many", "headers", "retries"),
    message(event_id="one"), message(event_id=2**63), message(event_id=-1),
    message(item=2**31), message(item=None), message(event_id=True),
)  # fmt: skip
POISON = [
    b"",
    b"not json",
    b"\xff\xfe",
    b"[" * 50_000,
    b'"' + b"x" * 100_000 + b'"',
    *(json.dumps(one).encode() for one in NO_MESSAGES),
]


@pytest.mark.parametrize("raw", POISON)
def test_s11_invalid_messages_are_recognised(raw):
    assert not is_message(raw)


def test_a_valid_message_is_recognised():
    assert is_message(json.dumps(message()).encode())


async def test_s11_poison_becomes_dead_letters_and_the_worker_lives(jobs, stack, author, database):
    unknown = message(job="nobody.knows_it", event_id=0)
    with Redis.from_url(stack.broker_url) as broker:
        await database.execute("delete from jobs.dead_letters where message is not null")
        for queue in ("default", "cpu"):
            for raw in POISON:
                broker.rpush(queue, raw)
        broker.lpush("default", json.dumps(unknown))
        (mail,) = await jobs.mail_to(author.email)  # so the worker still works
        assert mail.subject == "Your account is ready"
        count = "select count(*) from jobs.dead_letters where message is not null"

        async def kept():
            return await database.fetchval(count) == 2 * len(POISON)

        await until(kept, seconds=60)
        await until(lambda: not broker.llen(DEAD_LETTERS))  # stored first, then removed
        state = "select state from jobs.runs where id = $1 and finished_at is not null"

        async def failed():
            return await database.fetchval(state, unknown["headers"]["id"]) == "failed"

        await until(failed)
        await until(lambda: not broker.llen("default") and not broker.hlen("unacked"))
    query = "select id::text, job, state from jobs.dead_letters where id = $1"
    (letter,) = await database.fetch(query, unknown["headers"]["id"])
    assert (letter["job"], letter["state"]) == ("nobody.knows_it", "waiting")
    await database.execute("delete from jobs.dead_letters where message is not null")
    assert jobs.worker.running
    # A job may fail meanwhile for a reason of its own, such as a mail server that is too slow.
    lines = [line for line in jobs.worker.printed.splitlines() if '"job": ' not in line]
    assert not [line for line in lines if "Traceback" in line]
