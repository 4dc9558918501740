"""The cases: the request, the server, and the expected response."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.errors import BenchError
from bench.messages import CONTENT, POST, message, post_id

BASE: Final = "bare_redis_get"
"""The case that the others are compared with."""
POSTS: Final = "/api/v1/bench/posts"
"""The path of the benchmark's posts: see bench/slices."""
HOT: Final = f"{POSTS}/{post_id(0)}"
"""The path of the post that hits read."""
NEW: Final = json.dumps({"title": "A post", "content": "x" * CONTENT, "published": True})
"""The body of a new post, as large as the others."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: a GET of `path` at the server of this name, or a POST of `body`."""

    name: str
    server: str
    path: str
    expected: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def method(self) -> str:
        """The method of the request."""
        return "POST" if self.body else "GET"

    @property
    def message(self) -> str:
        """The message that the load sends."""
        return message(self.path, self.headers, method=self.method, body=self.body)

    def admits(self, answer: str) -> bool:
        """Return whether a response (`200 HIT`) is as expected, as far as that is specified."""
        return answer == self.expected or answer.startswith(f"{self.expected} ")

    def refuse_wrong(self, answers: Mapping[str, int]) -> None:
        """Raise BenchError if a response is not as expected, or if there are none."""
        wrong = {answer: times for answer, times in answers.items() if not self.admits(answer)}
        if wrong or not answers:
            found = ", ".join(f"{times} of {answer}" for answer, times in wrong.items())
            raise BenchError(
                f"{self.name}: every answer should be {self.expected}, and there are "
                f"{found or 'none'}, of {sum(answers.values())} together: no figures."
            )


def cases(token: str, etag: str) -> list[Case]:
    """Return all cases, in the order of measurement and report."""
    bearer = {"Authorization": f"Bearer {token}"}
    known = {"If-None-Match": etag}
    return [
        Case(name="bare", server="bare", path="/", expected="200"),
        Case(name=BASE, server=BASE, path="/", expected="200"),
        Case(name="hit", server="api", path=HOT, expected="200 HIT"),
        Case(name="hit_with_token", server="api", path=HOT, headers=bearer, expected="200 HIT"),
        Case(name="304", server="api", path=HOT, headers=known, expected="304"),
        Case(name="429", server="refusing", path=HOT, expected="429"),
        Case(name="miss", server="api", path=f"{POSTS}/{POST}", expected="200 MISS"),
        Case(name="write", server="api", path=POSTS, headers=bearer, body=NEW, expected="201"),
        Case(name="lookup_off", server="without_lookup", path=HOT, expected="200 BYPASS"),
    ]


NAMES: Final = tuple(case.name for case in cases("", ""))
