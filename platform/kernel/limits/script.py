"""The sliding-window log in Redis: one command that counts to several policies at once.

`command` is for any client and any pipeline, `read` for what comes back:

    reply = await redis.execute_command(*command("203.0.113.7", policies))
    decision = read(reply, "203.0.113.7", policies)
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from kernel.limits.policy import Decision, Policy, PolicySet, Standing, network_of

_SOURCE: Final = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
_SHA: Final = hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()


def key(subject: str, policy: Policy) -> str:
    """Return the key of a policy's log; one subject's keys share a slot of a Redis Cluster."""
    network, counted = network_of(subject), policy.counted(subject)
    within = "" if counted == network else f"{counted}:"
    return f"limit:{{{network}}}:{within}{policy.name}"


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
    head = ("EVAL", _SOURCE) if with_source else ("EVALSHA", _SHA)
    keys = (key(subject, policy) for policy in found)
    rates = (number for one in found for number in (one.rate.quota, one.rate.microseconds))
    return (*head, len(found), *keys, *rates, weight)


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
