import pytest

from kit.cached_reads import PAGES, CachedReads


@pytest.mark.usefixtures("post", "draft")
class TestCachedReads(CachedReads):
    slice = "list_posts"

    @pytest.fixture
    def values(self):
        return {**PAGES, "published_only": [True, False]}
