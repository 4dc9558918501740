from uuid import UUID

import pytest

from kernel.boot.app import create_app
from kernel.core.cursors import CursorKeys, Place
from kit.application import running, whole
from kit.cached_reads import PAGES, CachedReads
from kit.small import changed

MIDDLE = UUID("3820052a-bbd0-4a50-bce5-53a231166443")


@pytest.fixture
def feed(settings):
    return CursorKeys(*settings.cursor_secrets).of("browse_posts")


@pytest.mark.usefixtures("post", "draft")
class TestCachedReads(CachedReads):
    slice = "browse_posts"

    @pytest.fixture
    def values(self, feed):
        """Cursors before, behind, and of another list."""
        early, late = Place(0, MIDDLE), Place(4_000_000_000_000_000, MIDDLE)
        places = [place._replace(backward=way) for place in (early, late) for way in (False, True)]
        cursors = [feed.write(place, {}) for place in places]
        return {
            "cursor": [*cursors, feed.write(early, {"x": 1}), "invented", ""],
            "page_size": PAGES["page_size"],
        }


async def test_only_cursors_of_this_list_and_few_sizes_make_keys(
    settings, valkey, patient_redis, feed
):
    own = changed(settings, redis_port=valkey.port, redis_db=0)
    early = feed.write(Place(0, MIDDLE), {})
    foreign = CursorKeys(*settings.cursor_secrets).of("list_posts").write(Place(0, MIDDLE), {})
    async with running(create_app(own, whole())) as client_for, client_for() as client:
        for size in range(1, 101):
            await client.get(f"/feed?page_size={size}")
        for cursor in (early, foreign, "A" * 48, early[:-1], "x"):
            await client.get(f"/feed?cursor={cursor}")
        kept = {key.partition(":feed:")[2] for key in valkey.client.keys("cache:*")}
    assert kept == {":10", ":20", ":50", ":100", f"{early}:20"}
