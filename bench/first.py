"""The first responses of a server: the request is repeated until a response is as expected."""

import http.client
import time
from typing import Final, NamedTuple

from bench.cases import Case
from bench.errors import BenchError
from bench.system import Server

_SECONDS: Final = 5.0


class First(NamedTuple):
    """A response that is as expected."""

    etag: str
    size: int


def settle(case: Case, server: Server, *, seconds: float = _SECONDS) -> First:
    """Repeat the request until the response is as expected: the first hit is the second read.

    Raises BenchError if it is not after this time.
    """
    deadline = time.monotonic() + seconds
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_SECONDS)
        try:
            body, headers = case.body or None, dict(case.headers)
            if body:
                headers["Content-Type"] = "application/json"
            connection.request(case.method, case.path, body, headers)
            answer = connection.getresponse()
            size = len(answer.read())
        finally:
            connection.close()
        found = f"{answer.status} {answer.headers.get('X-Cache', '')}".strip()
        if case.admits(found):
            return First(etag=answer.headers.get("ETag", ""), size=size)
        if time.monotonic() > deadline:
            raise BenchError(
                f"{case.name}: {case.method} {case.path} is answered by {found}, and should be by "
                f"{case.expected}: there is nothing to measure."
            )
        time.sleep(0.1)
