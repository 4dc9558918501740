"""A worker is wedged if it has received what a free process does not start."""

from dataclasses import dataclass

import pytest

from kernel.worker.wedged import WEDGED_SECONDS, Watch


@dataclass(frozen=True)
class Request:
    id: str


A, B = Request("a"), Request("b")


class Clock:
    time = 100.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return Watch(2, now=clock)


def test_a_message_that_a_free_process_does_not_start_is_noticed(watch, clock, caplog):
    for seconds, wedged in ((0, False), (WEDGED_SECONDS, False), (1, True), (1, True)):
        clock.time += seconds
        assert watch.wedged({A, B}, {B}) is wedged
    (line,) = caplog.records
    assert line.message.startswith("A process of this worker takes no messages")
    assert (line.waiting, line.running) == (1, 1)
    assert not watch.wedged({A, B}, {A, B})


def test_a_message_waits_while_all_processes_are_busy(watch, clock):
    busy = {Request("x"), Request("y")}
    for _ in range(5):
        assert not watch.wedged({A, *busy}, busy)
        clock.time += WEDGED_SECONDS
    assert not watch.wedged({A}, set())  # from now on it waits for a free process
    clock.time += WEDGED_SECONDS + 1
    assert watch.wedged({A}, set())


def test_messages_that_follow_each_other_do_not_add_up(watch, clock):
    for number in range(50):
        clock.time += 1
        assert not watch.wedged({Request(str(number))}, set())


def test_an_idle_worker_is_not_wedged(watch, clock):
    for _ in range(3):
        clock.time += 3600
        assert not watch.wedged(set(), set())
