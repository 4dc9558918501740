"""The pool of async jobs: real processes, which here do what the job's name says."""

import contextlib
import os
import select
import signal
import time

import orjson
import pytest

from kernel.worker import loop_pool
from kernel.worker.loop_pool import LoopPool
from kernel.worker.tasks import UNKNOWN, LostProcesses

PATIENCE = 20.0


class Hub:
    """What the pool needs of kombu's loop; `turn` is one turn of it."""

    def __init__(self):
        self.readers, self.timers = {}, []

    def add_reader(self, channel, callback, *arguments):
        self.readers[channel] = (callback, arguments)

    def remove(self, channel):
        self.readers.pop(channel, None)

    def call_repeatedly(self, _, callback):
        self.timers.append(callback)

    def turn(self):
        for channel in select.select(list(self.readers), [], [], 0.02)[0]:
            if channel in self.readers:
                callback, arguments = self.readers[channel]
                callback(*arguments)
        for callback in self.timers:
            callback()


class Lost(LostProcesses):
    """Notes the processes whose leases are to end."""

    def __init__(self):
        self.pids, self.draining = [], False

    def release(self, pid):
        self.pids.append(pid)


class Sent:
    """Messages as Celery passes them to a pool, and what the pool has said about them."""

    def __init__(self, pool):
        self.pool, self.pids, self.ended, self.rejected = pool, {}, [], []

    def __call__(self, job, name=None, timeout=60.0):
        number = len(self.pids)
        self.pids[number] = []
        kwargs = {"event_id": number, "item": 0}
        headers = {"kwargs": kwargs, "job": job, "traceparent": None}
        self.pool.apply_async(
            None,
            args=(name or job, f"run-{number}", headers, b"", None, None),
            accept_callback=lambda pid, _: self.pids[number].append(pid),
            callback=lambda _: self.ended.append(number),
            error_callback=lambda failure: self.rejected.append(
                (number, failure.exception.exc.requeue)
            ),
            timeout=timeout,
        )
        return number


def work(channel):
    """Do what the names of jobs say, until the channel is closed; the pause is for the test."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    received, held = b"", []
    while data := channel.recv(4096):
        received += data
        *lines, received = received.split(b"\n")
        for line in map(orjson.loads, lines):
            match line["job"]:
                case "end":
                    say(channel, line["number"], done=True)
                case "return":
                    say(channel, line["number"], done=False)
                case "die":
                    os._exit(3)
                case "debug":
                    channel.sendall(b'{"debugging":true}\n')
                case "hold":
                    held.append(line["number"])
                case "free":
                    for number in [*held, line["number"]]:
                        say(channel, number, done=True)


def say(channel, number, *, done):
    line = {"number": number, "done": done, "kibibytes": 1000}
    channel.sendall(orjson.dumps(line) + b"\n")


@pytest.fixture
def start():
    """Starts a pool: `start(limit=2)` returns it with its hub, messages and lost processes."""
    with contextlib.ExitStack() as stack:

        def make(limit=4, **options):
            pool, hub, lost = LoopPool(limit, **options), Hub(), Lost()
            pool.prepare(work, lost)
            pool.start()
            stack.callback(pool.stop)
            pool.register_with_event_loop(hub)
            return hub, Sent(pool), lost

        yield make


def until(hub, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        hub.turn()


def test_messages_are_performed_at_the_same_time_by_one_process(start):
    hub, sent, _ = start()
    for job in ("hold", "hold", "end", "free"):
        sent(job)
    until(hub, lambda: len(sent.ended) == 4)
    assert sent.ended[0] == 2
    assert len({pid for pids in sent.pids.values() for pid in pids}) == 1


def test_no_more_are_begun_than_there_are_places(start):
    hub, sent, _ = start(limit=2)
    for job in ("hold", "hold", "end"):
        sent(job)
    for _ in range(10):
        hub.turn()
    assert [len(pids) for pids in sent.pids.values()] == [1, 1, 0]
    sent.pool.flush()  # the connection is lost: what was not begun comes again
    assert not sent.pool._waiting


def test_a_message_that_could_not_be_performed_goes_back_to_the_queue(start):
    hub, sent, _ = start()
    sent("return")
    until(hub, lambda: sent.rejected)
    assert (sent.rejected, sent.ended) == ([(0, True)], [])


def test_an_unknown_job_is_passed_on_by_its_own_name(start):
    hub, sent, _ = start()
    sent("end", name=UNKNOWN)
    until(hub, lambda: sent.ended)


def test_what_a_lost_process_leaves_is_begun_again_alone(start):
    hub, sent, lost = start()
    for job in ("hold", "hold", "die"):
        sent(job)
    until(hub, lambda: len(sent.pids[2]) > 3)  # each of them dies again
    first = sent.pids[0][0]
    assert sent.pids[0][0] == sent.pids[1][0] == sent.pids[2][0]
    assert len({sent.pids[0][1], sent.pids[1][1], *sent.pids[2][1:]}) >= 5
    assert lost.pids[0] == first
    assert set(lost.pids) == set(sent.pids[2]) - {sent.pids[2][-1]}
    sent("end")
    until(hub, lambda: sent.ended == [3])


def test_a_process_whose_loop_is_blocked_is_killed(start, monkeypatch, caplog):
    monkeypatch.setattr(loop_pool, "BLOCKED_SECONDS", 0.3)
    hub, sent, lost = start()
    sent("hold")
    until(hub, lambda: lost.pids)
    assert "An event loop is blocked" in caplog.text
    assert sent.pids[0][0] == lost.pids[0]


def test_a_process_in_the_debugger_is_not_killed(start, monkeypatch):
    hub, sent, lost = start()
    sent("debug")
    until(hub, lambda: next(iter(sent.pool._processes)).debugged)
    monkeypatch.setattr(loop_pool, "BLOCKED_SECONDS", 0.05)
    end = time.monotonic() + 0.5
    until(hub, lambda: time.monotonic() > end)
    assert not lost.pids


def test_a_job_that_outlives_its_hard_limit_ends_with_its_process(start, caplog):
    hub, sent, lost = start()
    sent("hold", timeout=0.1)
    until(hub, lambda: lost.pids)
    assert "A job does not end" in caplog.text


@pytest.mark.parametrize("options", [{"maxtasksperchild": 2}, {"max_memory_per_child": 999}])
def test_a_process_is_replaced_when_it_has_done_enough_or_is_large(start, options):
    hub, sent, lost = start(**options)
    for number in range(4):
        sent("end")
        until(hub, lambda: len(sent.ended) == number + 1)  # noqa: B023 - called here
    assert len({pid for pids in sent.pids.values() for pid in pids}) >= 2
    assert not lost.pids


def test_a_process_that_is_replaced_finishes_its_jobs(start):
    hub, sent, lost = start(maxtasksperchild=2)
    for job in ("hold", "end", "end", "end"):
        sent(job)
    until(hub, lambda: len(sent.ended) == 3)
    assert sent.pids[0] != sent.pids[2]
    os.kill(sent.pids[0][0], 0)
    assert not lost.pids


def test_in_a_shutdown_what_is_not_finished_goes_back_to_the_queue(start):
    hub, sent, lost = start()
    for _ in range(3):
        sent("hold")
    lost.draining = True
    sent.pool.give_back()
    until(hub, lambda: len(sent.rejected) == 3)
    assert sent.rejected == [(0, True), (1, True), (2, True)]
    assert len(lost.pids) == 1
