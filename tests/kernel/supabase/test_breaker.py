"""The breaker alone, on clocks that stand still until a test moves them."""

import logging

import pytest
from freezegun import freeze_time
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kernel.supabase.breaker import FAILURES, OPEN_SECONDS, CircuitBreaker, CircuitOpen


@pytest.fixture
def breaker(frozen_time) -> CircuitBreaker:
    return CircuitBreaker("auth")


def call(breaker: CircuitBreaker, *, answered: bool | None) -> None:
    breaker.settle(breaker.admit(), answered=answered)


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    for _ in range(FAILURES):
        call(breaker, answered=False)
    assert breaker.state == "open"
    return breaker


def test_consecutive_failures_open_it(breaker):
    for _ in range(FAILURES - 1):
        call(breaker, answered=False)
    assert breaker.state == "closed"
    call(breaker, answered=False)
    assert breaker.state == "open"


def test_a_response_ends_the_series_of_failures(breaker):
    for _ in range(FAILURES * 3):
        for _ in range(FAILURES - 1):
            call(breaker, answered=False)
        call(breaker, answered=True)
    assert breaker.state == "closed"


def test_open_it_says_when_it_may_work_again(breaker, frozen_time):
    opened(breaker)
    frozen_time.tick(OPEN_SECONDS / 4)
    with pytest.raises(CircuitOpen) as refused:
        breaker.admit()
    assert refused.value.seconds == pytest.approx(OPEN_SECONDS * 3 / 4)


def test_half_open_it_lets_one_call_through(breaker, frozen_time):
    opened(breaker)
    frozen_time.tick(OPEN_SECONDS)
    probe = breaker.admit()
    assert breaker.state == "half-open"
    for _ in range(3):
        with pytest.raises(CircuitOpen):
            breaker.admit()
    breaker.settle(probe, answered=True)
    assert breaker.state == "closed"
    assert breaker.admit() == breaker.admit()


def test_a_probe_that_fails_opens_it_again(breaker, frozen_time):
    opened(breaker)
    frozen_time.tick(OPEN_SECONDS)
    call(breaker, answered=False)
    assert breaker.state == "open"
    frozen_time.tick(OPEN_SECONDS)
    call(breaker, answered=True)
    assert breaker.state == "closed"


def test_a_probe_whose_caller_went_away_frees_its_place(breaker, frozen_time):
    opened(breaker)
    frozen_time.tick(OPEN_SECONDS)
    call(breaker, answered=None)
    call(breaker, answered=True)
    assert breaker.state == "closed"


def test_calls_whose_caller_went_away_are_no_failures(breaker):
    for _ in range(FAILURES * 2):
        call(breaker, answered=None)
    assert breaker.state == "closed"


def test_calls_from_before_the_fault_do_not_open_it_after(breaker, frozen_time):
    late = [breaker.admit() for _ in range(FAILURES * 10)]
    opened(breaker)
    frozen_time.tick(OPEN_SECONDS)
    call(breaker, answered=True)
    for ticket in late:
        breaker.settle(ticket, answered=False)
    assert breaker.state == "closed"


def test_calls_from_before_the_fault_do_not_close_it(breaker, frozen_time):
    late = breaker.admit()
    opened(breaker)
    breaker.settle(late, answered=True)
    assert breaker.state == "open"


def test_one_line_when_it_opens_and_one_when_it_closes(breaker, frozen_time, caplog):
    with caplog.at_level(logging.INFO, logger="kernel.supabase.breaker"):
        opened(breaker)
        for _ in range(10):
            with pytest.raises(CircuitOpen):
                breaker.admit()
        frozen_time.tick(OPEN_SECONDS)
        call(breaker, answered=False)
        frozen_time.tick(OPEN_SECONDS)
        call(breaker, answered=True)
    opening, closing = (vars(record) for record in caplog.records)
    assert (opening["levelname"], opening["breaker"]) == ("ERROR", "auth")
    assert (closing["levelname"], closing["breaker"]) == ("WARNING", "auth")
    assert closing["open_seconds"] == 2 * OPEN_SECONDS


class AnyCalls(RuleBasedStateMachine):
    """Any calls, which end in any order and in any way."""

    def __init__(self) -> None:
        super().__init__()
        self._freezing = freeze_time(real_asyncio=True)
        self.frozen_time = self._freezing.start()
        self.breaker = CircuitBreaker("any")
        self.under_way: list[int] = []
        self.probes: set[int] = set()

    @rule(seconds=st.sampled_from([0.0, OPEN_SECONDS / 2, OPEN_SECONDS, 10 * OPEN_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.frozen_time.tick(seconds)

    @rule()
    def a_call_begins(self) -> None:
        before = self.breaker.state
        try:
            ticket = self.breaker.admit()
        except CircuitOpen:
            assert before == "open" or self.probes
            return
        assert before != "open"
        self.under_way.append(ticket)
        if before == "half-open":
            self.probes.add(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), answered=st.sampled_from([True, False, None]))
    def a_call_ends(self, data: st.DataObject, *, answered: bool | None) -> None:
        place = data.draw(st.integers(0, len(self.under_way) - 1))
        ticket = self.under_way.pop(place)
        self.breaker.settle(ticket, answered=answered)
        self.probes.discard(ticket)

    @invariant()
    def there_is_one_probe_at_most(self) -> None:
        assert len(self.probes) <= 1

    def teardown(self) -> None:
        for ticket in self.under_way:
            self.breaker.settle(ticket, answered=None)
        self.frozen_time.tick(OPEN_SECONDS)
        self.breaker.settle(self.breaker.admit(), answered=True)
        assert self.breaker.state == "closed"
        self._freezing.stop()


TestAnyCalls = AnyCalls.TestCase
