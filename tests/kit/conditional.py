"""Checks that a write respects the conditions of RFC 9110, 13."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

Write = Callable[[Mapping[str, str]], Awaitable[httpx.Response]]


async def etag_of(reader: Any, path: str) -> str:
    """Return the ETag of a resource; skip the test if the slice that reads it was removed."""
    answer = await reader.get(path)
    if answer.status_code in {404, 405}:
        pytest.skip("nothing reads it: it has no ETag")
    return str(answer.raise_for_status().headers["etag"])


async def minds_conditions(
    write: Write, etag: str, *, unchanged: Callable[[], Awaitable[None]], done: int = 200
) -> None:
    """Send writes whose conditions fail, and one whose conditions hold.

    `unchanged` asserts that the failed writes changed nothing.
    """
    failing: list[dict[str, str]] = [
        {"If-Match": '"another"'},
        {"If-Match": f"W/{etag}"},
        {"If-None-Match": etag},
        {"If-None-Match": f"W/{etag}"},
        {"If-None-Match": "*"},
    ]
    for headers in failing:
        answer = await write(headers)
        assert answer.status_code == 412, (headers, answer.text)
        assert answer.json()["error"]["code"] == "PRECONDITION_FAILED"
    await unchanged()
    answer = await write({"If-Match": f'"another", {etag}', "If-None-Match": '"another"'})
    assert answer.status_code == done, answer.text
