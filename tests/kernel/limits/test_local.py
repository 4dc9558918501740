"""The log of one process follows the same rules, with bounded memory."""

import time
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.config.rates import Rate
from kernel.limits.local import LocalLogs
from kernel.limits.policy import Policy, PolicySet

MILLISECOND = 1000
steps = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), st.booleans()), max_size=60)


def now():
    """Return the time of the log in microseconds."""
    return time.monotonic_ns() // 1000


# All examples share one clock, which only goes forward; its ticks take no real time.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(1, 5), st.integers(1, 4), st.integers(10, 60))
def test_r1_no_window_holds_more_than_the_quota(frozen_time, steps, shared, own, milliseconds):
    window = milliseconds * MILLISECOND
    policies = [
        Policy("shared", Rate(shared, window / 1e6)),
        Policy("own", Rate(own, window / 1e6)),
    ]
    both = PolicySet(policies[:1]), PolicySet(policies)
    logs = LocalLogs()
    reference: dict[str, list[int]] = {"shared": [], "own": []}
    for which, pause, given_back in steps:
        frozen_time.tick(timedelta(milliseconds=pause))
        decision = logs.take("subject", both[which])
        assert decision.alone
        recent = {
            name: [at for at in log if now() - window < at] for name, log in reference.items()
        }
        counted = both[which].policies
        room = all(len(recent[one.name]) < one.rate.quota for one in counted)
        assert decision.admitted is room
        for standing in decision.standings:
            log = recent[standing.policy.name] + [now()] * room
            assert standing.remaining == standing.policy.rate.quota - len(log)
            assert standing.microseconds == (log[0] + window - now() if log else 0)
        if room and given_back:
            logs.give_back(decision)
        elif room:
            for one in counted:
                reference[one.name].append(now())


def test_the_log_that_was_longest_unused_is_forgotten_first():
    policies = PolicySet([Policy("shared", Rate(1, 60))])
    logs = LocalLogs(logs=3)
    for subject in ("a", "b", "c"):
        assert logs.take(subject, policies).admitted
    assert not logs.take("a", policies).admitted
    assert logs.take("d", policies).admitted
    assert len(logs) == 3
    assert not logs.take("c", policies).admitted
    assert logs.take("a", policies).admitted  # its log was the oldest: refusals do not renew a log


def test_what_is_refused_takes_no_memory():
    policies = PolicySet([Policy("a", Rate(1, 60)), Policy("b", Rate(1, 60))])
    logs = LocalLogs()
    logs.take("x", PolicySet(policies.policies[:1]))
    assert not logs.take("x", policies).admitted
    assert len(logs) == 1


def test_giving_back_what_has_been_forgotten_does_nothing(frozen_time):
    policies = PolicySet([Policy("shared", Rate(1, 60))])
    logs = LocalLogs(logs=1)
    decision = logs.take("a", policies)
    logs.take("b", policies)
    logs.give_back(decision)
    frozen_time.tick(61)
    logs.take("b", policies)
    logs.give_back(decision._replace(subject="b"))
    assert not logs.take("b", policies).admitted


def test_s5_a_heavy_request_counts_many_times_to_the_first_policy(frozen_time):
    policies = PolicySet([Policy("shared", Rate(5, 60)), Policy("own", Rate(5, 60))])
    logs = LocalLogs()
    assert [one.remaining for one in logs.take("a", policies, 2).standings] == [3, 4]
    frozen_time.tick(10)
    assert [one.remaining for one in logs.take("a", policies, 2).standings] == [1, 3]
    refused = logs.take("a", policies, 4)
    assert not refused.admitted
    assert refused.retry_after == 60  # the two slots of the first request are not enough
    assert logs.take("a", policies, 2).retry_after == 50
    frozen_time.tick(50)
    assert logs.take("a", policies, 2).admitted


def test_a_request_that_weighs_more_than_the_quota_needs_all_of_it():
    policies = PolicySet([Policy("shared", Rate(3, 60))])
    logs = LocalLogs()
    assert logs.take("a", policies, 9).admitted
    assert not logs.take("a", policies).admitted
