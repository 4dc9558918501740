"""`./app bench --memory`: whether an API process grows under requests of all kinds."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cases import HOT, POSTS, cases
from bench.driver import drive
from bench.errors import BenchError
from bench.first import settle
from bench.load import Plan
from bench.messages import ADDRESS, POST, message, post_id
from bench.processors import Processors, resident_bytes
from bench.system import System, running

_MIB: Final = 1024 * 1024
_PARTS: Final = 10
_EXPECTED: Final = ("200", "201", "304", "404", "429")
_ABSENT: Final = f"{POSTS}/{post_id(0xFFFFFFFFFFFF)}"
_GREEDY: Final = "203.0.113.7"  # RFC 5737
# The share of each kind in 200 requests.
_SHARES: Final = {
    "hit": 90,
    "hit_with_token": 50,
    "304": 30,
    "404": 10,
    "429": 10,
    "miss": 9,
    "write": 1,
}


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The memory of a process, in MiB, before and after the requests, and its responses."""

    before_mib: float
    after_mib: float
    requests: int
    answers: dict[str, int]

    def line(self) -> str:
        """Return it as a line of JSON."""
        figures = {
            "before_mib": round(self.before_mib, 2),
            "after_mib": round(self.after_mib, 2),
            "growth_mib": round(self.after_mib - self.before_mib, 2),
            "requests": self.requests,
            "answers": dict(sorted(self.answers.items())),
        }
        return json.dumps({"memory": figures})


def measure_memory(
    root: Path, *, requests: int, connections: int, say: Callable[[str], None]
) -> Growth:
    """Return the growth of a process after this many requests; a tenth more warm it up first.

    All requests but the refused ones come from new addresses. Raises BenchError for an unexpected
    response, StackError if a server of the stack does not start.
    """
    each = max(1, requests // _PARTS)
    misses = (1 + _PARTS) * (each // sum(_SHARES.values()) * _SHARES["miss"] + connections)
    misses += sum(_SHARES.values())
    say("starting the stack")
    with running(root, Processors.divide(), posts=1 + 2 * misses) as system:
        server = system.api("api", TRUSTED_PROXIES="127.0.0.1/32", RATE_LIMIT_DEFAULT="100/hour")
        hit = settle(cases("", "")[2], server)
        templates = _mix(system, hit.etag)
        answers: Counter[str] = Counter()
        next_post, before, held = 1, 0.0, 0.0
        for part in range(1 + _PARTS):  # the first is the warm-up
            plan = Plan(
                port=server.port,
                pid=server.pid,
                templates=templates,
                connections=connections,
                seconds=0,
                requests=each,
                warm_up_seconds=0,
                posts=(next_post, system.posts),
                first_address=part * (each + connections),
            )
            outcome = drive(plan, system.environment())
            _refuse_wrong(outcome.answers)
            next_post = outcome.next_post
            held = resident_bytes(server.pid) / _MIB
            say(f"{part * each:>9,} of {_PARTS * each:,} requests  {held:7.2f} MiB")
            if part == 0:
                before = held
            else:
                answers.update(outcome.answers)
        return Growth(
            before_mib=before, after_mib=held, requests=answers.total(), answers=dict(answers)
        )


def _mix(system: System, etag: str) -> list[str]:
    """Return the messages of one turn, in a fixed order."""
    bearer = {"Authorization": f"Bearer {system.token}"}
    fresh, greedy = {"X-Forwarded-For": ADDRESS}, {"X-Forwarded-For": _GREEDY}
    post = json.dumps({"title": "A post", "content": "x", "published": True})
    kinds = {
        "hit": message(HOT, fresh),
        "hit_with_token": message(HOT, fresh | bearer),
        "304": message(HOT, fresh | {"If-None-Match": etag}),
        "404": message(_ABSENT, fresh),
        "429": message(HOT, greedy),
        "miss": message(f"{POSTS}/{POST}", fresh),
        "write": message(POSTS, fresh | bearer, method="POST", body=post),
    }
    mix = [kinds[kind] for kind, share in _SHARES.items() for _ in range(share)]
    random.Random(1).shuffle(mix)  # noqa: S311 - an order, not a secret
    return mix


def _refuse_wrong(answers: dict[str, int]) -> None:
    wrong = {kind: n for kind, n in answers.items() if not kind.startswith(_EXPECTED)}
    if wrong:
        found = ", ".join(f"{times} of {answer}" for answer, times in wrong.items())
        raise BenchError(f"Nothing that was sent should be answered by {found}: no figures.")
