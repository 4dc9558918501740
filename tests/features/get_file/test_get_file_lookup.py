from uuid import uuid4

import pytest

from kit.cached_reads import CachedReads


class TestCachedReads(CachedReads):
    slice = "get_file"

    @pytest.fixture
    async def values(self, author, stranger, new_file):
        files = [await new_file(author), await new_file(stranger)]
        return {"file_id": [*(file.id for file in files), uuid4()]}
