"""K7: stored bytes are the value that was stored under this key, or a miss; never an error."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.cache.stored import VERSION_BYTES, Kind, Stored, etag_of, pack, unpack
from kit.holding import THING, holding_feature, replicas

MARK = b"cached:2"
versions = st.lists(st.binary(min_size=VERSION_BYTES, max_size=VERSION_BYTES), max_size=3).map(
    tuple
)
bodies = st.binary(max_size=200)
values = st.builds(
    lambda kind, body, old_at, link: Stored(kind, body, etag_of(body), old_at, link),
    st.sampled_from(Kind),
    bodies,
    st.floats(allow_nan=False),
    st.binary(max_size=200),
)


def checked(rest):
    """Return these bytes with a valid mark and checksum."""
    return struct.pack("<8sI", MARK, zlib.crc32(rest)) + rest


@given(values, versions)
def test_k7_what_was_stored_is_read_back_under_its_own_tag_versions(value, under):
    assert unpack(pack(value, under), b"".join(under)) == value


@given(values, versions, versions)
def test_k7_under_any_other_tag_versions_it_is_a_miss(value, under, now):
    found = unpack(pack(value, under), b"".join(now))
    assert (found == value) if under == now else (found is None)


@given(values, versions, st.integers(0), st.integers(0, 7))
def test_k7_a_flipped_bit_is_a_miss(value, under, place, bit):
    data = bytearray(pack(value, under))
    data[place % len(data)] ^= 1 << bit
    assert unpack(bytes(data), b"".join(under)) is None


@given(values, versions, st.integers(0))
def test_k7_what_is_cut_off_or_goes_on_is_a_miss(value, under, length):
    data = pack(value, under)
    assert unpack(data[: length % len(data)], b"".join(under)) is None
    assert unpack(data + b"\x00", b"".join(under)) is None


@given(st.binary(max_size=200), versions)
def test_k7_any_other_bytes_are_a_miss(data, under):
    assert unpack(data, b"".join(under)) is None


@given(st.binary(max_size=200), versions)
def test_k7_nothing_raises_also_with_the_right_check_sum(rest, under):
    unpack(checked(rest), b"".join(under))


@pytest.mark.parametrize("kind", [0, 4, 255])
def test_k7_a_kind_of_another_version_is_a_miss(kind):
    rest = struct.pack("<BdBH34s", kind, 9e9, 0, 0, etag_of(b"")) + b"body"
    assert unpack(checked(rest), b"") is None


def value_key(server):
    (key,) = server.keys("cache:*")
    return key


def of_another_type(server, key, value):
    server.unlink(key)
    server.hset(key, "a", "hash")


def garbage(server, key, value):
    server.set(key, b"\x00\xff garbage", keepttl=True)


def empty(server, key, value):
    server.set(key, b"", keepttl=True)


def cut_off(server, key, value):
    server.set(key, value[: len(value) // 2], keepttl=True)


def older_format(server, key, value):
    server.set(key, value.replace(MARK, b"cached:1", 1), keepttl=True)


def flipped(server, key, value):
    server.set(key, value[:-1] + bytes([value[-1] ^ 1]), keepttl=True)


@pytest.mark.parametrize(
    "damage", [of_another_type, garbage, empty, cut_off, older_format, flipped]
)
async def test_k7_a_damaged_value_is_a_miss_and_overwritten(own_settings, origin, valkey, damage):
    kwargs = {"host": "127.0.0.1", "port": valkey.port}
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        whole = await client.get(f"/things/{THING}")
        with type(valkey.client)(**kwargs) as server:
            key = value_key(server)
            damage(server, key, server.get(key))
        again = await client.get(f"/things/{THING}")
        after = await client.get(f"/things/{THING}")
    assert [one.headers["x-cache"] for one in (whole, again, after)] == ["MISS", "MISS", "HIT"]
    assert whole.content == again.content == after.content
    assert {one.status_code for one in (whole, again, after)} == {200}


@pytest.mark.parametrize("of", ["a list", "a word", "16 bytes too many, all of it"])
async def test_k7_a_damaged_tag_version_is_a_miss_and_replaced(own_settings, origin, valkey, of):
    async with replicas(own_settings, holding_feature(origin), 1) as (one,), one.client() as client:
        await client.get(f"/things/{THING}")
        (name,) = valkey.client.keys("tag:*")
        valkey.client.unlink(name)
        (valkey.client.rpush if of == "a list" else valkey.client.set)(name, of)
        answers = [await client.get(f"/things/{THING}") for _ in range(2)]
        assert [answer.headers["x-cache"] for answer in answers] == ["MISS", "HIT"]
        assert valkey.client.ttl(name) > 0
        await one.write(origin, "new")
        assert (await client.get(f"/things/{THING}")).json()["data"] == "new"
