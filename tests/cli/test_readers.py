"""G4 and `./app bench --readers`: no reader sees what was dropped, or the check finds it."""

import asyncio
import dataclasses
import os

import pytest

from bench.crowd import Crowd, Plan
from bench.readers import BOUND_MS, Options, Outcome, measure_readers
from kit.process import ROOT
from kit.resp import listening


def quiet(line):
    """Say nothing."""


def serving(page):
    """Accepts each post; answers each read with what `page` returns for the number of posts."""
    written = 0

    async def talk(reader, writer):
        nonlocal written
        while head := await reader.readuntil(b"\r\n\r\n"):
            status, body = b"200 OK", b""
            if head.startswith(b"POST"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                written += 1
                status = b"201 Created"
            else:
                body = page(written)
            writer.write(
                b"HTTP/1.1 %b\r\nX-Cache: HIT\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )
            await writer.drain()

    return talk


def newest(number):
    return b'{"data":[{"title":"crowd %07d"},{"title":"crowd 0000001"}]}' % number


async def seen_of(page):
    async with listening(serving(page)) as port:
        plan = Plan(
            port=port,
            pid=os.getpid(),
            token="token",
            readers=10,
            think_seconds=0.02,
            write_seconds=0.05,
            seconds=0.5,
        )
        async with asyncio.timeout(20):
            return await Crowd(plan).run()


async def test_a_page_with_every_written_post_is_in_order():
    seen = await seen_of(newest)
    assert (seen.too_old, seen.own_missed) == (0, 0)
    assert seen.numbers["writes"] > 1
    assert seen.answers == {"200 HIT": seen.numbers["reads"]}


async def test_a_page_that_was_dropped_is_found_by_readers_and_writer():
    seen = await seen_of(lambda written: newest(max(0, written - 1)))
    assert seen.too_old > 0
    assert seen.own_missed == seen.numbers["writes"]
    outcome = Outcome(Options(root=ROOT), seen)
    assert outcome.missed
    assert f"{seen.too_old} answers were too old" in outcome.table()[-1]


async def test_only_a_p95_within_the_bound_and_whole_answers_are_good():
    seen = await seen_of(newest)
    options = Options(root=ROOT)
    good = dataclasses.replace(seen, reads=[1.0, BOUND_MS, 99.0, 99.0])
    slow = dataclasses.replace(seen, reads=[1.0, BOUND_MS + 1, 99.0, 99.0])
    odd = dataclasses.replace(good, answers={"200 HIT": 99, "503": 1})
    assert [Outcome(options, one).missed for one in (good, slow, odd)] == [False, True, True]


@pytest.mark.slow
def test_g4_readers_never_see_what_was_dropped_and_the_writer_reads_its_own():
    options = Options(
        root=ROOT, readers=200, think_seconds=0.5, write_seconds=0.1, seconds=5, posts=10_000
    )
    outcome = measure_readers(options, quiet)
    assert not outcome.wrong, "\n".join(outcome.table())
    assert outcome.seen.numbers["writes"] > 10
    assert outcome.seen.answers["200 HIT"] > 100
