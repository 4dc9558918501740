from uuid import uuid4

import pytest

from kit.cached_reads import CachedReads


class TestCachedReads(CachedReads):
    slice = "get_post"

    @pytest.fixture
    def values(self, post, draft):
        return {"post_id": [post.id, draft.id, uuid4()]}
