"""Topics: who may follow them, and which declarations cannot work."""

import re
from uuid import UUID, uuid4

import pytest

from kernel.cache import every_caller, everyone, one_caller
from kernel.core.caller import ANONYMOUS, Caller
from kernel.events import SessionEnded
from kernel.live import Topic, Topics
from kit.slices.shared.things import ThingChanged

ID = UUID(int=7)  # its name is part of names of tests
ANN, BOB = Caller(user_id=ID), Caller(user_id=uuid4())
TOPICS = Topics(
    [
        Topic("things", on=ThingChanged, audience=everyone),
        Topic("thing:{thing_id}", on=ThingChanged, audience=every_caller),
        Topic("user:{user_id}", on=SessionEnded, audience=one_caller),
    ]
)


@pytest.mark.parametrize(
    ("caller", "name", "admitted"),
    [
        (ANONYMOUS, "things", True),
        (ANONYMOUS, "thing:1", False),
        (ANN, "thing:1", True),
        (ANN, "thing:1:2", False),
        (ANN, f"user:{ID}", True),
        (BOB, f"user:{ID}", False),
        (ANONYMOUS, f"user:{ID}", False),
        (ANONYMOUS, "user:None", False),
        (ANN, "user:*", False),
        (ANN, "unknown", False),
        (ANN, "", False),
    ],
)
def test_only_the_audience_of_a_topic_may_follow_it(caller, name, admitted):
    assert TOPICS.admits(caller, name) is admitted


def test_an_event_changes_each_topic_that_follows_it_under_its_own_name():
    event = ThingChanged(thing_id=uuid4())
    assert [name for name, _ in TOPICS.changed(event)] == ["things", f"thing:{event.thing_id}"]
    ended = SessionEnded(session_id=uuid4(), user_id=ID)
    assert [name for name, _ in TOPICS.changed(ended)] == [f"user:{ID}"]


@pytest.mark.parametrize(
    ("name", "audience", "sentence"),
    [
        ("user:{user_id}", everyone, "user_id is not a field of ThingChanged"),
        ("things-{thing_id}", everyone, "separate parts by ':'"),
        ("things:", everyone, "separate parts by ':'"),
        ("things", one_caller, "is for one caller: add {user_id} to the name"),
    ],
)
def test_a_topic_that_cannot_work_is_refused(name, audience, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Topic(name, on=ThingChanged, audience=audience)
