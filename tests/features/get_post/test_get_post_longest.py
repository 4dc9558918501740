import pytest

from kernel.boot.app import create_app
from kit.application import running, whole
from kit.small import changed


@pytest.fixture
async def client(settings, valkey, patient_redis):
    """A client of an application with a separate cache."""
    own = changed(settings, redis_port=valkey.port, redis_db=0)
    async with running(create_app(own, whole())) as client_for, client_for() as client:
        yield client


async def test_s5_the_longest_post_comes_from_the_cache(client, author, new_post):
    post = await new_post(author, content="\x01" * 100_000)  # six bytes in JSON each
    await client.get(f"/posts/{post.id}")
    assert (await client.get(f"/posts/{post.id}")).headers["x-cache"] == "HIT"
