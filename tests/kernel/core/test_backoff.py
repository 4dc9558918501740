"""Backoff after failures, on clocks that stand still."""

import time

import pytest

from kernel.core.backoff import Backoff


@pytest.fixture
def pause(frozen_time):
    return Backoff()


def waited(frozen_time, pause):
    """Advance the clock until the pause is over; return the seconds, to a hundredth."""
    began = time.monotonic()
    while not pause.over:
        frozen_time.tick(0.01)
    return time.monotonic() - began


def test_before_a_failure_there_is_no_pause(pause):
    assert pause.over


def test_a_pause_begins_at_a_failure_and_ends_by_itself(frozen_time, pause):
    pause.failed()
    assert not pause.over
    frozen_time.tick(0.5)
    assert pause.over


def test_pauses_double_up_to_five_seconds_and_are_spread(frozen_time, pause):
    for longest in (0.5, 1, 2, 4, 5, 5, 5, 5):
        pause.failed()
        assert longest / 2 - 0.01 <= waited(frozen_time, pause) <= longest + 0.01


def test_pauses_of_the_same_length_differ(frozen_time):
    lengths = set()
    for _ in range(20):
        pause = Backoff()
        pause.failed()
        lengths.add(waited(frozen_time, pause))
    assert len(lengths) > 1


def test_a_success_ends_a_pause_and_the_next_is_short_again(frozen_time, pause):
    for _ in range(5):
        pause.failed()
    pause.succeeded()
    assert pause.over
    pause.failed()
    assert waited(frozen_time, pause) <= 0.51


def test_any_number_of_failures_is_handled(frozen_time, pause):
    for _ in range(5000):
        pause.failed()
    assert waited(frozen_time, pause) <= 5.01
