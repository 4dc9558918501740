"""The sliding window in Redis: one command that counts to several policies at once.

`command` is for any client and any pipeline, `read` for what comes back:

    reply = await redis.execute_command(*command("203.0.113.7", policies))
    decision = read(reply, "203.0.113.7", policies)
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from kernel.limits.policy import (
    LARGEST_LOG,
    SPANS,
    Decision,
    Policy,
    PolicySet,
    Standing,
    network_of,
)


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


class _Script:
    """A script, and the hash by which Redis knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


_EXACT: Final = _Script(f"local LARGEST_LOG = {LARGEST_LOG}\n{_read('script.lua')}")
# Functions cost each run of a script: only policies that need them have them.
_WITH_SPANS: Final = _Script(f"local SPANS = {SPANS}\n{_read('spans.lua')}{_EXACT.source}")
_GIVE_BACK: Final = _read("give_back.lua")


def key(subject: str, policy: Policy) -> str:
    """Return the key of a policy's list; one subject's keys share a slot of a Redis Cluster."""
    network, counted = network_of(subject), policy.counted(subject)
    within = "" if counted == network else f"{counted}:"
    form = "" if policy.exact else ":spans"  # a setting may change the form of a list
    return f"limit:{{{network}}}:{within}{policy.name}{form}"


@lru_cache(4096)
def command(
    subject: str, policies: PolicySet, weight: int = 1, *, with_source: bool = False
) -> tuple[str | int, ...]:
    """Return the command that counts a request of the subject to the policies.

    To the first of them it counts `weight` times.

    Redis knows the script by its hash. If it does not (NOSCRIPT: after a restart or SCRIPT FLUSH),
    nothing was counted: repeat the command once with the source, which Redis then caches.
    """
    found = policies.policies
    script = _EXACT if all(policy.exact for policy in found) else _WITH_SPANS
    head = ("EVAL", script.source) if with_source else ("EVALSHA", script.sha)
    keys = (key(subject, policy) for policy in found)
    rates = (number for one in found for number in (one.rate.quota, one.rate.microseconds))
    return (*head, len(found), *keys, *rates, weight)


def give_back(subject: str, policy: Policy, at: int) -> tuple[str | int, ...]:
    """Return the command that uncounts one request, which was admitted at this time."""
    where = key(subject, policy)
    return ("LREM", where, 1, at) if policy.exact else ("EVAL", _GIVE_BACK, 1, where, at)


def read(reply: object, subject: str, policies: PolicySet) -> Decision:
    """Return the decision in the reply. Raises ValueError for any other reply."""
    found = policies.policies
    if type(reply) is not list or len(reply) != 2 + 2 * len(found):
        raise ValueError("the reply does not fit these policies")
    try:
        sum(reply)  # the fastest check that all are numbers
    except TypeError:
        raise ValueError("the reply has values that are not numbers") from None
    standings = tuple(map(Standing, found, reply[2::2], reply[3::2]))
    return Decision(subject, policies, False, reply[0] == 1, reply[1], standings)  # noqa: FBT003
