"""Edge cases of RESP: each caller gets its own reply, wherever replies are split or cut off."""

import asyncio
import contextlib
import socket
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

from kernel.redis import RedisAway
from kernel.redis.connection import RedisConnection

MEBIBYTE = 1024 * 1024
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Reply(NamedTuple):
    """The bytes of a reply, and its value for the caller."""

    wire: bytes
    value: object


class Asked(NamedTuple):
    """The expected replies of one caller, and whether it is cancelled first."""

    replies: list[Reply]
    gone: bool


def bulk(value: bytes) -> Reply:
    return Reply(b"$%d\r\n%b\r\n" % (len(value), value), value)


def error(text: str) -> Reply:
    return Reply(b"-%b\r\n" % text.encode(), (ResponseError, text))


def array(parts: list[Reply]) -> Reply:
    wire = b"".join(part.wire for part in parts)
    return Reply(b"*%d\r\n%b" % (len(parts), wire), [part.value for part in parts])


def plain(value: object) -> object:
    """Return the value with errors in a form that can be compared."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, ResponseError):
        return ResponseError, str(value)
    return value


line = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=20)
single = st.one_of(
    st.binary(max_size=200).map(bulk),
    st.just(bulk(b"")),
    st.just(bulk(b"\r\n$-1\r\n:1\r\n")),
    st.sampled_from([Reply(b"$-1\r\n", None), Reply(b"*-1\r\n", None)]),
    line.map(lambda text: Reply(b"+%b\r\n" % text.encode(), text.encode())),
    line.map(lambda text: error(f"ERR {text}")),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: Reply(b":%d\r\n" % number, number)),
)
replies = st.recursive(single, lambda parts: st.lists(parts, max_size=4).map(array), max_leaves=8)
asked = st.builds(Asked, st.lists(replies, min_size=1, max_size=4), st.booleans())
batches = st.lists(asked, min_size=1, max_size=8)
rubbish = st.one_of(
    st.sampled_from([b"?", b"HTTP/1.1 400\r\n", b"$x\r\n", b":1x\r\n", b"*-7\r\n", b"\x00\r\n"]),
    st.binary(max_size=30).map(lambda rest: b"@" + rest),
)


def wire(batch: list[Asked]) -> bytes:
    return b"".join(reply.wire for one in batch for reply in one.replies)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a < b]


@contextlib.asynccontextmanager
async def connected(seconds: float = 10):
    """A connection to the test itself; `ends` holds the reasons why it ended."""
    own, other = socket.socketpair()
    other.setblocking(False)  # noqa: FBT003 - its only parameter
    loop = asyncio.get_running_loop()
    ends: list[tuple[str, bool]] = []
    _, connection = await loop.create_connection(lambda: RedisConnection(seconds), sock=own)
    connection.serve(lambda *end: ends.append(end))
    try:
        yield connection, other, ends
    finally:
        await connection.aclose()
        other.close()


def outcome(future: "asyncio.Future[Any]") -> object:
    if not future.done():
        return "waits"
    if future.cancelled():
        return "gone"
    error = future.exception()
    return "away" if isinstance(error, RedisAway) else plain(future.result())


async def outcomes(
    batch: list[Asked], chunks: list[bytes]
) -> tuple[list[object], list[tuple[str, bool]]]:
    """Send the batch, and give the connection the received bytes in these pieces."""
    async with connected() as (connection, _, ends):
        futures = [connection.ask((("ECHO",),) * len(one.replies)) for one in batch]
        for one, future in zip(batch, futures, strict=True):
            if one.gone:
                future.cancel()
        for chunk in chunks:
            connection.data_received(chunk)
        return [outcome(future) for future in futures], [*ends]


def expected(one: Asked) -> object:
    return "gone" if one.gone else [reply.value for reply in one.replies]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"], scope="module")
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.mark.parametrize("kind", LOOPS)
@given(batch=batches, cuts=st.lists(st.integers(0), max_size=20))
def test_however_replies_are_split_each_reaches_its_own_caller(kind, batch, cuts):
    with asyncio.Runner(loop_factory=kind) as runner:
        found, ends = runner.run(outcomes(batch, pieces(wire(batch), cuts)))
    assert found == [expected(one) for one in batch]
    assert ends == []


@given(batch=batches)
def test_replies_may_come_byte_by_byte(batch):
    data = wire(batch)
    found, _ = asyncio.run(outcomes(batch, [data[at : at + 1] for at in range(len(data))]))
    assert found == [expected(one) for one in batch]


@given(batch=batches, at=st.integers(0), end=rubbish, cuts=st.lists(st.integers(0), max_size=5))
def test_invalid_bytes_end_it_and_callers_without_a_reply_get_none(batch, at, end, cuts):
    whole = at % len(batch)
    data = wire(batch[:whole]) + end
    found, ends = asyncio.run(outcomes(batch, pieces(data, cuts)))
    assert found[:whole] == [expected(one) for one in batch[:whole]]
    assert set(found[whole:]) <= {"away", "gone"}
    assert [end[1] for end in ends] == [True]


@given(batch=batches, more=replies)
def test_a_reply_too_many_ends_it(batch, more):
    found, ends = asyncio.run(outcomes(batch, [wire(batch) + more.wire]))
    assert found == [expected(one) for one in batch]
    assert ends == [("unexpected reply", True)]


@given(batch=batches, at=st.integers(0))
def test_a_connection_that_dies_in_the_middle_of_a_reply_gives_nobody_a_part(batch, at):
    async def main() -> list[object]:
        async with connected() as (connection, other, ends):
            futures = [connection.ask((("ECHO",),) * len(one.replies)) for one in batch]
            await asyncio.sleep(0)  # the commands are sent
            data = wire(batch)
            other.sendall(data[: at % len(data)])
            other.close()
            await asyncio.wait(futures)
            assert len(ends) == 1
            return [outcome(future) for future in futures]

    found = asyncio.run(main())
    assert found[-1] == "away"
    whole = found.index("away")
    assert found[:whole] == [[reply.value for reply in one.replies] for one in batch[:whole]]
    assert found[whole:] == ["away"] * len(found[whole:])


def test_the_largest_values_come_whole_in_any_pieces(run):
    batch = [
        Asked([bulk(b"x" * MEBIBYTE), bulk(b""), array([bulk(b"y" * MEBIBYTE)])], gone=False),
        Asked([bulk(b"z" * MEBIBYTE)], gone=True),
        Asked([bulk(b"last")], gone=False),
    ]
    data = wire(batch)
    found, _ = run(outcomes(batch, [data[at : at + 4093] for at in range(0, len(data), 4093)]))
    assert found == [expected(one) for one in batch]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("NOSCRIPT No matching script.", NoScriptError),
        ("OOM command not allowed", OutOfMemoryError),
        ("READONLY You can't write against a read only replica.", ReadOnlyError),
        ("WRONGTYPE Operation against a key", ResponseError),
        ("LOADING Redis is loading", ResponseError),
        ("", ResponseError),
    ],
)
def test_refusals_have_the_classes_of_redis_py_and_their_whole_text(run, text, kind):
    async def main() -> object:
        async with connected() as (connection, *_):
            future = connection.ask((("GET", "a"),))
            connection.data_received(error(text).wire)
            return (await future)[0]

    found = run(main())
    assert type(found) is kind
    assert str(found) == text


def test_an_error_that_is_no_utf_8_is_one(run):
    async def main() -> object:
        async with connected() as (connection, *_):
            future = connection.ask((("GET", "a"),))
            connection.data_received(b"-ERR \xff\xfe\r\n")
            return (await future)[0]

    assert isinstance(run(main()), ResponseError)


@pytest.mark.parametrize("code", ["LOADING", "NOAUTH", "READONLY", "MASTERDOWN"])
def test_a_server_that_cannot_answer_is_disconnected(run, code):
    async def main() -> None:
        async with connected() as (connection, _, ends):
            first, second = connection.ask((("GET", "a"),)), connection.ask((("GET", "b"),))
            connection.data_received(error(f"{code} text").wire)
            assert isinstance((await first)[0], ResponseError)
            with pytest.raises(RedisAway, match=code):
                await second
            assert ends == [(f"{code} text", True)]

    run(main())


def test_calls_of_one_loop_iteration_are_one_write_in_order(run):
    async def main() -> bytes:
        async with connected() as (connection, other, _):
            writes: list[bytes] = []
            looked_into: Any = connection
            looked_into._transport = Spy(looked_into._transport, writes)
            for number in range(100):
                connection.ask((("ECHO", number), ("GET", b"\x00\r\n")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(writes) == 1
            return await asyncio.get_running_loop().sock_recv(other, MEBIBYTE)

    sent = run(main())
    assert sent == b"".join(
        b"*2\r\n$4\r\nECHO\r\n$%d\r\n%d\r\n*2\r\n$3\r\nGET\r\n$3\r\n\x00\r\n\r\n"
        % (len(str(number)), number)
        for number in range(100)
    )


class Spy:
    """A transport that counts its writes."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport, self._writes = transport, writes

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)


def test_an_invalid_command_is_an_error_of_its_own_caller_only(run):
    async def main() -> None:
        async with connected() as (connection, *_):
            nothing: Any = None
            with pytest.raises(TypeError):
                connection.ask((("GET", "a"), ("GET", nothing)))
            future = connection.ask((("GET", "a"),))
            connection.data_received(b"+fine\r\n")
            assert await future == [b"fine"]

    run(main())


def test_a_batch_is_overdue_after_the_deadline_also_while_others_are_asked(run):
    async def main() -> None:
        async with connected(seconds=0.1) as (connection, _, ends):
            loop = asyncio.get_running_loop()
            started = loop.time()
            first = connection.ask((("GET", "a"),))
            while not first.done():
                with contextlib.suppress(RedisAway):
                    connection.ask((("GET", "b"),)).add_done_callback(asyncio.Future.exception)
                await asyncio.sleep(0.001)
            assert 0.09 < loop.time() - started < 0.3
            assert ends == [("no answer in 0.1 s", True)]
            assert isinstance(first.exception(), RedisAway)

    run(main())


def test_without_waiting_callers_no_timer_runs(run):
    async def main() -> None:
        async with connected(seconds=0.04) as (connection, _, ends):
            future = connection.ask((("GET", "a"),))
            await asyncio.sleep(0)
            connection.data_received(b"+fine\r\n")
            await future
            while connection._timer is not None:
                await asyncio.sleep(0.005)
            assert ends == []

    run(main())


def test_bytes_that_the_server_does_not_read_are_bounded(run):
    async def main() -> None:
        async with connected() as (connection, _, ends):
            accepted = 0

            async def fill(*, turns: bool) -> None:
                nonlocal accepted
                for _ in range(100):
                    connection.ask((("SET", "a", b"x" * MEBIBYTE),))
                    accepted += 1
                    if turns:
                        await asyncio.sleep(0)

            with pytest.raises(RedisAway, match="the queue is full"):
                await fill(turns=False)
            await asyncio.sleep(0)
            with pytest.raises(RedisAway, match="the queue is full"):
                await fill(turns=True)
            assert 8 <= accepted <= 18
            assert ends == []

    run(main())


def test_a_connection_that_has_ended_takes_nothing(run):
    async def main() -> None:
        async with connected() as (connection, other, ends):
            other.close()
            while not ends:
                await asyncio.sleep(0.001)
            assert ends[0][1] is False  # no caller was waiting
            with pytest.raises(RedisAway):
                connection.ask((("GET", "a"),))
            with pytest.raises(RedisAway):
                connection.serve(lambda *_: None)
            connection.data_received(b"+late\r\n")

    run(main())
