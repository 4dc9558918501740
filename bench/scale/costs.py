"""What one call of each kind costs, in processor time of each part."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.client import NO_CONTENT
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.errors import BenchError
from bench.scale.people import PASSWORD
from bench.scale.stack import Stack, running
from bench.scale.usage import Usage, usage

Say = Callable[[str], None]

_TOGETHER: Final = 8
_HASHING: Final = 2  # Auth hashes passwords one after the other, on what cores there are
_IDLE_SECONDS: Final = 6.0
_SETTLED_SECONDS: Final = 60.0
_API: Final = "/api/v1"
_CONTENT: Final = "word " * 200
PARTS: Final = {
    "API": ("api 1",),
    "Auth and PostgREST": ("gateway",),
    "Postgres": ("postgres",),
    "Redis": ("cache", "broker"),
    "relay": ("relay",),
    "worker": ("worker",),
}
"""The columns, and the processes of each."""


_Make = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Cost:
    """Processor microseconds of one call, by part, and how often it was called."""

    call: str
    calls: int
    microseconds: Mapping[str, float]


@dataclass
class _Kept:
    """What earlier calls have left for later ones."""

    drafts: list[str] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)


def measure_costs(root: Path, say: Say, *, calls: int) -> list[Cost]:
    """Return the cost of each kind of call, on a stack of its own with one API process.

    Raises BenchError for an unexpected answer, StackError if a server does not start.
    """
    say("starting the stack")
    with running(root, users=max(200, calls), posts=calls + 1, apis=1) as stack:
        return asyncio.run(_Costs(stack, say, calls).measure())


def table(costs: list[Cost]) -> list[str]:
    """Return the costs as a table in Markdown, which docs/SCALING.md has: see capacity.py."""
    heading = ("call", *(f"{part} µs" for part in PARTS), "calls/s of an API core")
    rows: list[tuple[str, ...]] = [heading, ("---", *("---:" for _ in heading[1:]))]
    rows += [
        (
            one.call,
            *(f"{one.microseconds[part]:,.0f}" for part in PARTS),
            f"{1e6 / max(one.microseconds['API'], 1):,.0f}",
        )
        for one in costs
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


class _Costs:
    def __init__(self, stack: Stack, say: Say, calls: int) -> None:
        self._stack, self._say, self._calls = stack, say, calls
        self._kept = _Kept()
        self._numbers = iter(range(1 << 24))

    async def measure(self) -> list[Cost]:
        """Measure the rest, then one kind after the other."""
        some, few = self._calls, max(8, self._calls // 8)
        kinds: list[tuple[str, int, int, _Make]] = [
            ("hit", 4 * some, _TOGETHER, self._hit),
            ("miss", some, _TOGETHER, self._miss),
            ("write a draft", some, _TOGETHER, self._draft),
            ("change a draft", some, _TOGETHER, self._change),
            ("publish, with its job", some, _TOGETHER, self._publish),
            ("login", few, _HASHING, self._login),
            ("refresh", few, _HASHING, self._refresh),
            ("logout", few, _HASHING, self._logout),
            ("sign-up, with its mail", few, _HASHING, self._signup),
        ]
        async with aiohttp.ClientSession(self._stack.api_urls[0]) as self._client:
            for number in range(_TOGETHER):
                await self._hit(number)
            await self._publish(0)  # its job shows that relay and worker have started
            await self._settled()
            idle = await self._idle()
            return [
                await self._cost(name, times, make, together=together, idle=idle)
                for name, times, together, make in kinds
            ]

    async def _cost(
        self, name: str, times: int, call: _Make, *, together: int, idle: Mapping[str, float]
    ) -> Cost:
        before, began = usage(self._stack.named()), time.monotonic()
        numbers = iter(range(times))

        async def some() -> None:
            for number in numbers:
                await call(number)

        await asyncio.gather(*(some() for _ in range(together)))
        await self._settled()
        seconds = time.monotonic() - began
        after = usage(self._stack.named())
        found = {}
        for part, names in PARTS.items():
            used = sum(after[one].cpu_seconds - before[one].cpu_seconds for one in names)
            rest = sum(idle[one] for one in names) * seconds
            found[part] = max(0.0, used - rest) / times * 1e6
        self._say(f"{name:<28} {found['API']:8,.0f} µs of the API")
        return Cost(name, times, found)

    async def _idle(self) -> dict[str, float]:
        """Return what each process uses in a second without calls."""
        before: dict[str, Usage] = usage(self._stack.named())
        await asyncio.sleep(_IDLE_SECONDS)
        after = usage(self._stack.named())
        return {
            name: (after[name].cpu_seconds - before[name].cpu_seconds) / _IDLE_SECONDS
            for name in after
        }

    async def _settled(self) -> None:
        if late := await self._stack.settled(_SETTLED_SECONDS):
            raise BenchError(f"{late} events or runs did not end within {_SETTLED_SECONDS:.0f} s.")

    async def _call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None
    ) -> Any:
        """Call from an address of its own; return the answer's data."""
        number = next(self._numbers)
        headers = {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with self._client.request(
            method, f"{_API}{path}", json=body, headers=headers
        ) as answer:
            if not answer.ok:
                said = await answer.text()
                raise BenchError(f"{method} {path} was answered by {answer.status}: {said[:200]}")
            return None if answer.status == NO_CONTENT else (await answer.json())["data"]

    def _token(self, number: int) -> str:
        tokens = self._stack.people.tokens
        return tokens[number % len(tokens)]

    async def _hit(self, number: int) -> None:
        path = f"/posts/{self._stack.people.posts[0]}"
        await self._call("GET", path, token=self._token(number))

    async def _miss(self, number: int) -> None:
        path = f"/posts/{self._stack.people.posts[number + 1]}"
        await self._call("GET", path, token=self._token(number))

    async def _draft(self, number: int) -> None:
        body = {"title": "A draft", "content": _CONTENT, "published": False}
        found = await self._call("POST", "/posts", body, token=self._token(number))
        self._kept.drafts.append(found["id"])
        self._kept.sessions.append({"access_token": self._token(number)})

    async def _change(self, number: int) -> None:
        body = {"title": "A changed draft", "content": _CONTENT, "published": False}
        token = self._kept.sessions[number]["access_token"]
        await self._call("PUT", f"/posts/{self._kept.drafts[number]}", body, token=token)

    async def _publish(self, number: int) -> None:
        body = {"title": "A post", "content": _CONTENT, "published": True}
        await self._call("POST", "/posts", body, token=self._token(number))

    async def _login(self, number: int) -> None:
        if not number:
            self._kept.sessions.clear()
        body = {"email": self._stack.people.emails[number], "password": PASSWORD}
        self._kept.sessions.append(await self._call("POST", "/auth/login", body))

    async def _refresh(self, number: int) -> None:
        body = {"refresh_token": self._kept.sessions[number]["refresh_token"]}
        self._kept.sessions[number] = await self._call("POST", "/auth/refresh", body)

    async def _logout(self, number: int) -> None:
        token = self._kept.sessions[number]["access_token"]
        await self._call("POST", "/auth/logout", {"scope": "local"}, token=token)

    async def _signup(self, number: int) -> None:
        body = {"email": f"new{number}@example.com", "password": PASSWORD, "display_name": "New"}
        await self._call("POST", "/auth/signup", body)
