"""Pauses after failures, by a clock of the test's own."""

import pytest

from kernel.core.backoff import Backoff


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pause(clock):
    return Backoff(clock)


def waited(clock, pause):
    """Let the time pass until the pause is over; return the seconds, to a hundredth."""
    began = clock.now
    while not pause.over:
        clock.now += 0.01
    return clock.now - began


def test_before_a_failure_there_is_no_pause(pause):
    assert pause.over


def test_a_pause_begins_at_a_failure_and_ends_by_itself(clock, pause):
    pause.failed()
    assert not pause.over
    clock.now += 0.5
    assert pause.over


def test_pauses_double_up_to_five_seconds_and_are_spread(clock, pause):
    for longest in (0.5, 1, 2, 4, 5, 5, 5, 5):
        pause.failed()
        assert longest / 2 - 0.01 <= waited(clock, pause) <= longest + 0.01


def test_pauses_of_the_same_length_differ(clock):
    lengths = set()
    for _ in range(20):
        pause = Backoff(clock)
        pause.failed()
        lengths.add(waited(clock, pause))
    assert len(lengths) > 1


def test_a_success_ends_a_pause_and_the_next_is_short_again(clock, pause):
    for _ in range(5):
        pause.failed()
    pause.succeeded()
    assert pause.over
    pause.failed()
    assert waited(clock, pause) <= 0.51


def test_any_number_of_failures_is_bearable(clock, pause):
    for _ in range(5000):
        pause.failed()
    assert waited(clock, pause) <= 5.01
