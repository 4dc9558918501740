"""R1, R7: the log in Redis, by Redis's clock, with windows of a few milliseconds."""

import threading
import time
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import NoScriptError

from kernel.config.rates import Rate
from kernel.limits.policy import Decision, Policy, PolicySet
from kernel.limits.script import command, key, read

CONNECTIONS = 4
_SUBJECTS = (f"test-{number}" for number in count())

action = st.tuples(st.integers(0, 1), st.integers(0, 25))  # index of the policy set; pause in ms
timetable = st.lists(action, max_size=8)


def take(client: Redis, subject: str, policies: PolicySet, weight: int = 1) -> Decision:
    """Decide about one request, like any client."""
    reply: Any
    try:
        reply = client.execute_command(*command(subject, policies, weight))
    except NoScriptError:
        reply = client.execute_command(*command(subject, policies, weight, with_source=True))
    return read(reply, subject, policies)


def sets(shared: int, own: int, seconds: float) -> tuple[PolicySet, PolicySet]:
    policies = Policy("shared", Rate(shared, seconds)), Policy("own", Rate(own, seconds))
    return PolicySet(policies[:1]), PolicySet(policies)


def in_window(log: list[int], now: int, policy: Policy) -> int:
    return sum(now - policy.rate.microseconds < at <= now for at in log)


def check_exactness(decisions: list[Decision]) -> None:
    """Compare with the definition: the admitted requests in the window before each decision."""
    logs: dict[str, list[int]] = {}
    for decision in sorted(decisions, key=lambda one: one.at):
        used = {
            policy.name: in_window(logs.get(policy.name, []), decision.at, policy)
            for policy in decision.policies.policies
        }
        room = all(used[one.name] < one.rate.quota for one in decision.policies.policies)
        assert decision.admitted is room
        for standing in decision.standings:
            policy, log = standing.policy, logs.setdefault(standing.policy.name, [])
            if decision.admitted:
                log.append(decision.at)
            assert in_window(log, decision.at, policy) <= policy.rate.quota
            assert standing.remaining == policy.rate.quota - in_window(log, decision.at, policy)
            waits = [at + policy.rate.microseconds - decision.at for at in log]
            assert standing.microseconds == min((wait for wait in waits if wait > 0), default=0)


@pytest.fixture(scope="module")
def clients(stack):
    url = urlsplit(stack.cache_url)
    found = [
        Redis(host=str(url.hostname), port=url.port or 0, db=stack.number)
        for _ in range(CONNECTIONS)
    ]
    yield found
    for client in found:
        client.close()


@effort(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(timetable, min_size=CONNECTIONS, max_size=CONNECTIONS),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(10, 60),
)
def test_r1_whatever_comes_over_four_connections_no_window_holds_more_than_the_quota(
    clients, timetables, shared, own, milliseconds
):
    subject, both = next(_SUBJECTS), sets(shared, own, milliseconds / 1000)
    decisions: list[Decision] = []

    def call(client: Redis, timetable: list[tuple[int, int]]) -> None:
        for which, pause in timetable:
            time.sleep(pause / 1000)  # hypothesis varies it
            decisions.append(take(client, subject, both[which]))

    threads = [
        threading.Thread(target=call, args=pair) for pair in zip(clients, timetables, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decisions) == sum(map(len, timetables))
    check_exactness(decisions)
    for policy in both[1].policies:  # R7; and no more entries than the quota
        where = key(subject, policy)
        assert clients[0].llen(where) <= policy.rate.quota
        assert clients[0].pttl(where) != -1  # -1: it would never expire


def test_r1_all_policies_record_a_request_or_none_does(redis):
    alone, both = sets(3, 1, 30)
    subject = next(_SUBJECTS)
    assert take(redis, subject, both).admitted
    refused = take(redis, subject, both)
    assert not refused.admitted
    assert [one.remaining for one in refused.standings] == [2, 0]
    assert refused.scarcest.policy.name == "own"
    assert [take(redis, subject, alone).admitted for _ in range(3)] == [True, True, False]


def test_r2_a_refusal_says_when_there_is_room_again(redis):
    alone, _ = sets(2, 1, 0.1)
    subject = next(_SUBJECTS)
    first, _ = take(redis, subject, alone), take(redis, subject, alone)
    refused = take(redis, subject, alone)
    assert not refused.admitted
    assert refused.at + refused.scarcest.microseconds == first.at + 100_000
    time.sleep(refused.scarcest.microseconds / 1_000_000)
    assert take(redis, subject, alone).admitted


def test_r2_the_wait_lies_between_a_second_and_the_window(redis):
    alone, _ = sets(1, 1, 30)
    subject = next(_SUBJECTS)
    take(redis, subject, alone)
    assert take(redis, subject, alone).retry_after == 30
    short, _ = sets(1, 1, 0.05)
    subject = next(_SUBJECTS)
    take(redis, subject, short)
    assert take(redis, subject, short).retry_after == 1


def test_where_a_quota_was_lowered_the_wait_is_until_enough_have_left(redis):
    subject = next(_SUBJECTS)
    before, after = sets(4, 1, 0.2)[0], sets(2, 1, 0.2)[0]
    admitted = [take(redis, subject, before) for _ in range(4)]
    refused = take(redis, subject, after)
    assert not refused.admitted
    assert refused.scarcest.remaining == 0
    assert refused.at + refused.scarcest.microseconds == admitted[2].at + 200_000


def test_r7_a_log_outlives_its_newest_entry_and_no_longer_than_a_second(redis):
    alone, _ = sets(5, 1, 30)
    subject = next(_SUBJECTS)
    take(redis, subject, alone)
    assert 30_000 < redis.pttl(key(subject, alone.policies[0])) <= 31_000


def test_a_clock_that_was_set_back_locks_nobody_out(redis):
    alone, _ = sets(1, 1, 30)
    subject = next(_SUBJECTS)
    now = take(redis, subject, alone).at
    redis.lset(key(subject, alone.policies[0]), 0, now + 3_600_000_000)
    assert take(redis, subject, alone).admitted
    assert redis.llen(key(subject, alone.policies[0])) == 1


def test_all_logs_of_a_subject_lie_in_one_slot_of_a_cluster():
    words = command("203.0.113.7", sets(1, 1, 1)[1])
    assert words[2:5] == (2, "limit:{203.0.113.7}:shared", "limit:{203.0.113.7}:own")


def test_the_command_rides_in_a_pipeline_with_others(redis):
    alone, _ = sets(2, 1, 30)
    subject = next(_SUBJECTS)
    take(redis, subject, alone)
    with redis.pipeline(transaction=False) as pipe:
        pipe.execute_command(*command(subject, alone))
        pipe.get("no such key")
        first, second = pipe.execute()
    assert read(first, subject, alone).scarcest.remaining == 0
    assert second is None


@pytest.mark.parametrize("reply", [[], [1], [1, 2, 3], [1, 2, 3, 4, 5, 6], None, 7])
def test_a_reply_that_is_no_decision_is_refused(reply):
    with pytest.raises((ValueError, TypeError)):
        read(reply, "203.0.113.7", sets(1, 1, 1)[0])


def test_s1_all_subjects_of_a_network_of_ipv6_count_together_to_a_wide_policy(redis):
    own, wide = Policy("own", Rate(2, 30)), Policy("own_network", Rate(5, 30), wide=True)
    policies, number = PolicySet([own, wide]), next(_SUBJECTS).removeprefix("test-")
    subjects = [f"2001:db8:{number}:{subscriber}::/64" for subscriber in range(1, 5)]
    admitted = [take(redis, subject, policies).admitted for subject in subjects for _ in range(2)]
    assert admitted == [True] * 5 + [False] * 3
    assert take(redis, f"2001:db9:{number}:1::/64", policies).admitted
    keys = [str(word) for word in command(subjects[0], policies)[3:5]]
    assert len({word.partition("}")[0] for word in keys}) == 1  # the same cluster slot


def test_s5_a_heavy_request_counts_many_times_to_the_first_policy(redis):
    policies, subject = (
        PolicySet([Policy("shared", Rate(5, 0.4)), Policy("own", Rate(5, 9))]),
        next(_SUBJECTS),
    )
    assert [one.remaining for one in take(redis, subject, policies, 2).standings] == [3, 4]
    time.sleep(0.1)
    assert [one.remaining for one in take(redis, subject, policies, 2).standings] == [1, 3]
    soon, later = take(redis, subject, policies, 2), take(redis, subject, policies, 4)
    assert not soon.admitted
    assert not later.admitted
    wait = soon.standings[0].microseconds
    assert 0 < wait <= 300_000
    assert later.standings[0].microseconds - wait >= 50_000  # the first two slots are not enough
    time.sleep(wait / 1e6)
    assert take(redis, subject, policies, 2).admitted


def test_a_request_that_weighs_more_than_the_quota_needs_all_of_it(redis):
    policies, subject = PolicySet([Policy("shared", Rate(3, 60))]), next(_SUBJECTS)
    assert take(redis, subject, policies, 9).admitted
    assert not take(redis, subject, policies).admitted
