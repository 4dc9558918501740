"""R1, R2, R7 for quotas above LARGEST_LOG: bounded memory, and never more than the quota."""

import threading
import time
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis.exceptions import NoScriptError

from kernel.config.rates import Rate
from kernel.limits.local import LocalLogs
from kernel.limits.policy import LARGEST_LOG, SPANS, Policy, PolicySet
from kernel.limits.script import command, give_back, key, read

_SUBJECTS = (f"large-{number}" for number in count())
EFFORT = effort(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Heavy requests reach a quota above LARGEST_LOG in a few steps: pause in ms, and weight.
steps = st.lists(st.tuples(st.integers(0, 25), st.integers(1, 700)), max_size=12)
quotas, windows = st.integers(LARGEST_LOG + 1, LARGEST_LOG + 400), st.integers(10, 80)


def large(quota, seconds):
    return PolicySet([Policy("large", Rate(quota, seconds))])


def take(redis, subject, policies, weight=1):
    try:
        reply = redis.execute_command(*command(subject, policies, weight))
    except NoScriptError:
        reply = redis.execute_command(*command(subject, policies, weight, with_source=True))
    return read(reply, subject, policies)


def check(decisions, policy):
    """No window holds more than the quota; no request counts longer than a window and a span."""
    window = policy.rate.microseconds
    admitted: list[tuple[int, int]] = []
    for decision, weight in sorted(decisions, key=lambda one: one[0].at):
        now = decision.at

        def used(microseconds, now=now):
            return sum(cost for at, cost in admitted if now - microseconds < at <= now)

        (standing,) = decision.standings
        if decision.admitted:
            admitted.append((now, weight))
            assert used(window) <= policy.rate.quota
        else:
            assert used(window + window / SPANS) + weight > policy.rate.quota
        assert 0 <= standing.remaining <= policy.rate.quota - used(window)
        assert standing.remaining >= policy.rate.quota - used(window + window / SPANS)
        assert 0 <= standing.microseconds <= window


@EFFORT
@given(st.lists(steps, min_size=4, max_size=4), quotas, windows)
def test_r1_no_window_of_a_large_quota_holds_more_over_four_connections(
    new_redis, timetables, quota, milliseconds
):
    subject, policies = next(_SUBJECTS), large(quota, milliseconds / 1000)
    decisions = []

    def call(timetable):
        client = new_redis()
        for pause, weight in timetable:
            time.sleep(pause / 1000)  # hypothesis varies it
            decisions.append((take(client, subject, policies, weight), weight))

    threads = [threading.Thread(target=call, args=[one]) for one in timetables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decisions) == sum(map(len, timetables))
    check(decisions, policies.policies[0])


@pytest.fixture
def new_redis(redis):
    """Each thread has a connection of the pool for itself."""
    return lambda: redis


@EFFORT
@given(steps, quotas, windows)
def test_r1_no_window_of_a_large_quota_holds_more_in_one_process(
    frozen_time, steps, quota, milliseconds
):
    policies, logs, decisions = large(quota, milliseconds / 1000), LocalLogs(), []
    for pause, weight in steps:
        frozen_time.tick(timedelta(milliseconds=pause))
        decisions.append((logs.take("x", policies, weight), weight))
    check(decisions, policies.policies[0])


def test_a_million_an_hour_takes_less_than_8_kb_a_subject(redis):
    """3,000 requests in more than a window: more spans than there may be at once."""
    subject, policies = next(_SUBJECTS), large(1_000_000, 0.3)
    until, number = time.monotonic() + 1, 0
    where = key(subject, policies.policies[0])
    while time.monotonic() < until or number < 3000:
        assert take(redis, subject, policies, 50).admitted
        number += 1
        if number % 100 == 0:
            assert (redis.llen(where) - 1) / 3 <= SPANS + 2
            assert redis.memory_usage(where) < 8000
    assert redis.pttl(where) > 0  # R7


def test_the_largest_log_takes_less_than_16_kb(redis):
    subject, policies = next(_SUBJECTS), large(LARGEST_LOG, 3600)
    for _ in range(LARGEST_LOG):
        assert take(redis, subject, policies).admitted
    assert not take(redis, subject, policies).admitted
    assert redis.memory_usage(key(subject, policies.policies[0])) < 16_000


def test_a_process_alone_keeps_no_more_spans(frozen_time):
    logs, policies = LocalLogs(), large(1_000_000, 3600)
    for _ in range(1000):
        frozen_time.tick(timedelta(seconds=10))
        logs.take("x", policies)
    (log,) = logs._logs.values()
    assert len(log._spans) <= SPANS + 2
    assert log.total == pytest.approx(360, abs=4)  # those of an hour, and of a span more


def test_r2_a_request_that_waited_as_long_as_it_is_told_is_admitted(redis):
    subject, policies = next(_SUBJECTS), large(LARGEST_LOG + 1, 0.4)
    for weight in (500, 500):
        assert take(redis, subject, policies, weight).admitted
        time.sleep(0.05)
    refused, heavy = (take(redis, subject, policies, weight) for weight in (2, 600))
    assert not refused.admitted
    assert not heavy.admitted
    assert heavy.standings[0].microseconds > refused.standings[0].microseconds
    time.sleep(refused.standings[0].microseconds / 1e6)
    assert take(redis, subject, policies, 2).admitted


def test_one_request_is_uncounted_where_it_was_counted(redis):
    subject, policies = next(_SUBJECTS), large(LARGEST_LOG + 1, 30)
    first = take(redis, subject, policies, 1000)
    last = take(redis, subject, policies)
    assert last.standings[0].remaining == 0
    redis.execute_command(*give_back(subject, policies.policies[0], first.at))
    assert take(redis, subject, policies).admitted
    assert not take(redis, subject, policies).admitted
    for at in (first.at - 1, last.at + 60_000_000):  # nothing was counted then
        redis.execute_command(*give_back(subject, policies.policies[0], at))
    assert not take(redis, subject, policies).admitted


def test_a_clock_that_was_set_back_locks_nobody_out(redis):
    subject, policies = next(_SUBJECTS), large(LARGEST_LOG + 1, 30)
    now = take(redis, subject, policies, LARGEST_LOG + 1).at
    where = key(subject, policies.policies[0])
    redis.lset(where, 1, now + 3_600_000_000)
    assert take(redis, subject, policies).admitted
    assert redis.llen(where) == 4


def test_a_changed_setting_begins_a_list_of_its_own(redis):
    """The two forms differ: neither reads what the other has written."""
    subject, small = next(_SUBJECTS), large(1, 30)
    assert take(redis, subject, small).admitted
    assert take(redis, subject, large(LARGEST_LOG + 1, 30)).standings[0].remaining == LARGEST_LOG
    assert not take(redis, subject, small).admitted


def test_exact_policies_run_a_script_without_the_code_of_large_quotas():
    for quota, has in ((LARGEST_LOG, False), (LARGEST_LOG + 1, True)):
        _, source, *_ = command("x", large(quota, 60), with_source=True)
        assert ("count_spans(key, now, window)\n" in str(source).partition("local clock")[0]) is has


def test_one_process_uncounts_in_spans_too(frozen_time):
    logs, policies = LocalLogs(), large(LARGEST_LOG + 1, 30)
    first = logs.take("x", policies, LARGEST_LOG)
    logs.take("x", policies)
    assert not logs.take("x", policies).admitted
    logs.give_back(first)
    assert logs.take("x", policies).admitted
