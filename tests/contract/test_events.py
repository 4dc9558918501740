"""Event classes in Python and topics in SQL are the same: an event without both is lost."""

from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest
from pydantic import create_model

from contract import shipped
from kernel.events import Event, JobDue, known_events
from kit.slices.shared.things import ThingChanged, ThingPublished

ROOT = Path(__file__).parents[2]
OF_THE_KIT: dict[str, type[Event]] = {
    ThingChanged.topic: ThingChanged,
    ThingPublished.topic: ThingPublished,
}
EVENTS: Mapping[str, type[Event]] = {**known_events(), **OF_THE_KIT}
# Topics of removed modules, whose tables may still exist: nothing writes to them.
LEFT = set().union(
    *(
        topics
        for module, topics in shipped.TOPICS.items()
        if not (ROOT / "features" / "shared" / f"{module}.py").exists()
    )
)


async def differences(database: asyncpg.Connection, events: Mapping[str, type[Event]]) -> set[str]:
    """Return a sentence for each difference between the two sides."""
    rows = await database.fetch("select topic, fields from outbox.topics")
    topics = {row["topic"]: set(row["fields"]) for row in rows}
    classes = {topic: set(kind.model_fields) for topic, kind in events.items()}
    return (
        {f"{topic} has no class" for topic in topics.keys() - classes.keys() - LEFT}
        | {f"{topic} has no topic" for topic in classes.keys() - topics.keys()}
        | {
            f"{topic}: {', '.join(sorted(topics[topic] ^ classes[topic]))}"
            for topic in topics.keys() & classes.keys()
            if topics[topic] != classes[topic]
        }
    )


@pytest.fixture
async def rolled_back(database):
    """A connection whose changes only the test sees; they are rolled back."""
    transaction = database.transaction()
    await transaction.start()
    yield database
    await transaction.rollback()


async def test_events_and_topics_are_the_same(database):
    assert await differences(database, EVENTS) == set()
    assert JobDue.topic in EVENTS


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "insert into outbox.topics values ('post_archived', '{post_id}')",
            {"post_archived has no class"},
        ),
        (
            "select outbox.track('public.things', 'thing_moved', '{\"thing_id\": \"id\"}')",
            {"thing_moved has no class"},
        ),
        (
            "update outbox.topics set fields = '{thing_id,reason}' where topic = 'thing_changed'",
            {"thing_changed: reason"},
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
    assert await differences(rolled_back, EVENTS) == found


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"thing_moved": create_model("ThingMoved", __base__=Event)}, {"thing_moved has no topic"}),
        (
            {
                "thing_changed": create_model(
                    "ThingChanged", __base__=ThingChanged, reason=(str, ...)
                )
            },
            {"thing_changed: reason"},
        ),
        (
            {"user_changed": create_model("UserChanged", __base__=Event, id=(str, ...))},
            {"user_changed: id, user_id"},
        ),
    ],
)
async def test_a_class_that_changes_alone_is_noticed(database, changed, found):
    assert await differences(database, EVENTS | changed) == found


async def test_a_topic_has_the_same_fields_wherever_it_comes_from(rolled_back):
    with pytest.raises(asyncpg.RaiseError, match="topic thing_changed has other fields elsewhere"):
        await rolled_back.execute(
            "select outbox.track('public.profiles', 'thing_changed', '{\"user_id\": \"id\"}')"
        )
