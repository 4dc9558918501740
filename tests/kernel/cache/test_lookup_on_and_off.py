"""K11, R6: the rules for every cached read hold for the kit's, one of each kind."""

from uuid import uuid4

import pytest

from kit.cached_reads import PAGES, CachedReads


class TestEveryones(CachedReads):
    slice, package = "read_thing", "kit.slices"

    @pytest.fixture
    def values(self, thing, hidden_thing):
        return {"thing_id": [thing.id, hidden_thing.id, uuid4()]}


@pytest.mark.usefixtures("thing", "hidden_thing")
class TestPages(CachedReads):
    slice, package = "list_things", "kit.slices"

    @pytest.fixture
    def values(self):
        return {**PAGES, "published_only": [True, False]}


class TestOneCallers(CachedReads):
    slice, package = "read_mine", "kit.slices"


class TestOneCallersAndEveryCallers(CachedReads):
    slice, package = "read_person", "kit.slices"

    @pytest.fixture
    def values(self, author, stranger, admin):
        return {"user_id": [author.id, stranger.id, admin.id, uuid4()]}


class TestOfNobody(CachedReads):
    slice, package = "read_motto", "kit.slices"
