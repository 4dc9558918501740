from uuid import uuid4

import pytest

from kit.cached_reads import CachedReads


class TestCachedReads(CachedReads):
    slice = "get_user"

    @pytest.fixture
    def values(self, author, stranger, admin):
        return {"user_id": [author.id, stranger.id, admin.id, uuid4()]}
