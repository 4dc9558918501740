"""Events in Python and topics in SQL are the same: what one side alone has would be lost."""

from collections.abc import Mapping

import asyncpg
import pytest
from pydantic import create_model

from features.shared.posts import PostChanged
from kernel.events import Event, JobDue, known_events


async def differences(database: asyncpg.Connection, events: Mapping[str, type[Event]]) -> set[str]:
    """Return what is not the same on both sides, a sentence each."""
    rows = await database.fetch("select topic, fields from outbox.topics")
    topics = {row["topic"]: set(row["fields"]) for row in rows}
    classes = {topic: set(kind.model_fields) for topic, kind in events.items()}
    return (
        {f"{topic} has no class" for topic in topics.keys() - classes.keys()}
        | {f"{topic} has no topic" for topic in classes.keys() - topics.keys()}
        | {
            f"{topic}: {', '.join(sorted(topics[topic] ^ classes[topic]))}"
            for topic in topics.keys() & classes.keys()
            if topics[topic] != classes[topic]
        }
    )


@pytest.fixture
async def rolled_back(database):
    """A connection whose changes are nobody else's and never stay."""
    transaction = database.transaction()
    await transaction.start()
    yield database
    await transaction.rollback()


async def test_events_and_topics_are_the_same(database):
    assert await differences(database, known_events()) == set()
    assert JobDue.topic in known_events()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "insert into outbox.topics values ('post_archived', '{post_id}')",
            {"post_archived has no class"},
        ),
        (
            "select outbox.track('public.posts', 'post_moved', '{\"post_id\": \"id\"}')",
            {"post_moved has no class"},
        ),
        (
            "update outbox.topics set fields = '{post_id,reason}' where topic = 'post_changed'",
            {"post_changed: reason"},
        ),
        (
            """delete from outbox.events where topic = 'job_due';
               delete from outbox.topics where topic = 'job_due'""",
            {"job_due has no topic"},
        ),
    ],
)
async def test_a_topic_that_changes_alone_is_noticed(rolled_back, statement, found):
    await rolled_back.execute(statement)
    assert await differences(rolled_back, known_events()) == found


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"post_moved": create_model("PostMoved", __base__=Event)}, {"post_moved has no topic"}),
        (
            {"post_changed": create_model("PostChanged", __base__=PostChanged, reason=(str, ...))},
            {"post_changed: reason"},
        ),
        (
            {"user_changed": create_model("UserChanged", __base__=Event, id=(str, ...))},
            {"user_changed: id, user_id"},
        ),
    ],
)
async def test_a_class_that_changes_alone_is_noticed(database, changed, found):
    assert await differences(database, known_events() | changed) == found


async def test_a_topic_has_the_same_fields_wherever_it_comes_from(rolled_back):
    with pytest.raises(asyncpg.RaiseError, match="topic post_changed has other fields elsewhere"):
        await rolled_back.execute(
            "select outbox.track('public.profiles', 'post_changed', '{\"user_id\": \"id\"}')"
        )
