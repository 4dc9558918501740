"""A cursor is valid for the list, the filters and the key that it was made with, and unchanged."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core.cursors import CursorKeys, Place

ID = UUID("3820052a-bbd0-4a50-bce5-53a231166443")
PLACE = Place(1_790_000_000_123_456, ID)
LAST_ID = UUID(int=2**128 - 1)
POSTS = CursorKeys("a secret").of("posts")
CURSOR = POSTS.write(PLACE, {})

places = st.builds(Place, st.integers(-(2**62), 2**62), st.uuids(), st.booleans())


@given(places)
def test_a_cursor_of_48_characters_is_read_as_it_was_written(place):
    cursor = POSTS.write(place, {"author": ID})
    assert re.fullmatch(r"[A-Za-z0-9_-]{48}", cursor)
    assert POSTS.read(cursor, {"author": ID}) == place


def test_the_order_of_filters_and_the_type_of_an_id_mean_nothing():
    cursor = POSTS.write(PLACE, {"author": ID, "kind": True})
    assert POSTS.read(cursor, {"kind": True, "author": str(ID)}) == PLACE


@pytest.mark.parametrize("filters", [{"author": UUID(int=1)}, {"author": None}, {"x": ID}, {}])
def test_a_cursor_of_other_filters_is_refused(filters):
    cursor = POSTS.write(PLACE, {"author": ID})
    with pytest.raises(ValueError, match="not a cursor of this list"):
        POSTS.read(cursor, filters)


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(ValueError, match="not a cursor of this list"):
        CursorKeys("a secret").of("comments").read(CURSOR, {})


@given(st.integers(0, 36 * 8 - 1))
def test_a_cursor_with_a_changed_bit_is_refused(bit):
    data = bytearray(urlsafe_b64decode(CURSOR))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match="not a cursor of this list"):
        POSTS.read(urlsafe_b64encode(bytes(data)).decode(), {})


@pytest.mark.parametrize(
    "sent",
    ["", " ", CURSOR[:-1], CURSOR + "A", f" {CURSOR[1:]}", f"{CURSOR}\n", CURSOR[:-1] + "=",
     "é" * 48, "\ud800" * 48, "+" * 48, CURSOR + "=" * 4],
)  # fmt: skip
def test_what_is_not_spelled_like_a_cursor_is_refused(sent):
    with pytest.raises(ValueError, match="not a cursor"):
        POSTS.read(sent, {})


@given(st.text())
def test_any_text_is_refused_by_no_other_error(text):
    with pytest.raises(ValueError, match="not a cursor"):
        POSTS.read(text, {})


def test_the_previous_secret_still_verifies_and_no_other():
    new = CursorKeys("another secret", "a secret").of("posts")
    assert new.read(CURSOR, {}) == PLACE
    assert new.write(PLACE, {}) != CURSOR
    with pytest.raises(ValueError, match="not a cursor of this list"):
        CursorKeys("another secret", "a third one").of("posts").read(CURSOR, {})


def test_a_cursor_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr("kernel.core.cursors._VERSION", 2)
    with pytest.raises(ValueError, match="another version"):
        POSTS.read(CURSOR, {})


def rank(place):
    return place.time * 2**128 + place.id.int


@given(st.integers(0, 2), st.sampled_from([UUID(int=0), ID, LAST_ID]))
def test_a_turned_place_lies_just_beside_so_that_the_place_itself_is_next(time, number):
    place = Place(time, number)
    below, above = place.turned(), place._replace(backward=True).turned()
    assert (below.backward, above.backward) == (True, False)
    assert [rank(one) - rank(place) for one in (below, above)] == [-1, 1]
