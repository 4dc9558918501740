"""Posts are deleted with their author; an event of the database then drops their cached reads."""

import pytest

from features.shared.posts import PostChanged
from kernel.events import known_events
from kit.posts import store_post


@pytest.mark.parametrize("posts", [1, 3])
async def test_a_deletion_of_the_author_is_an_event_that_names_the_posts(own_database, posts):
    author = await own_database.user()
    ids = {str(await store_post(own_database, author)) for _ in range(posts)}
    await own_database.forget()
    await own_database.sql.execute("delete from auth.users where id = $1", author)
    (event,) = await own_database.events("post_changed")
    assert {item["post_id"] for item in event["items"]} == ids
    assert known_events()["post_changed"] is PostChanged
