"""Two replicas of one system: whether each of them accepts a session (A2)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI

from kernel import Feature
from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kit.application import SLICES, running, whole
from kit.people import PASSWORD
from kit.system import System
from kit.waiting import until


def session_id(token: str) -> str:
    """Return the session id in an access token."""
    return str(jwt.decode(token, options={"verify_signature": False})["session_id"])


def replica_of(system: System, features: Mapping[str, Feature] = SLICES) -> FastAPI:
    """Return the application of another replica."""
    values = {name.lower(): value for name, value in system.environment().items()}
    return create_app(Settings.model_validate(values), features)


class Fleet:
    """Two replicas of one system, and a client of Auth itself."""

    def __init__(self, system: System, replicas: list[Any], supabase: httpx.AsyncClient) -> None:
        self.system, self.replicas, self.supabase = system, replicas, supabase

    async def call(
        self, token: str, method: str, path: str, *, replica: int = 0, **options: Any
    ) -> httpx.Response:
        """Call the API with a token."""
        async with self.replicas[replica](token) as client:
            answer: httpx.Response = await client.request(method, path, **options)
            return answer

    async def counts(self, token: str, replica: int) -> bool:
        """Return whether a replica accepts a token."""
        answer = await self.call(token, "GET", "/whoami", replica=replica)
        if answer.status_code == 200:
            return True
        assert answer.status_code == 401, answer.text
        assert answer.json()["error"]["code"] == "SESSION_ENDED"
        return False

    async def alive(self, token: str) -> bool:
        """Return whether a token is accepted; both replicas must agree."""
        first, second = [await self.counts(token, replica) for replica in (0, 1)]
        assert first == second
        return first

    async def ended(self, *tokens: str, replicas: tuple[int, ...] = (0, 1)) -> float:
        """Wait until these replicas refuse all tokens; return how long it took."""
        begun = time.monotonic()

        async def refused() -> bool:
            calls = [self.counts(token, replica) for token in tokens for replica in replicas]
            return not any(await asyncio.gather(*calls))

        await until(refused)
        return time.monotonic() - begun

    async def person(self, sessions: int = 1) -> tuple[UUID, list[str]]:
        """Return the id of a new user, and the tokens of this many sessions."""
        user_id, token = await self.system.author()
        email = jwt.decode(token, options={"verify_signature": False})["email"]
        tokens = [token]
        for _ in range(sessions - 1):
            body = {"email": email, "password": PASSWORD}
            answer = await self.supabase.post("/auth/v1/token?grant_type=password", json=body)
            tokens.append(answer.raise_for_status().json()["access_token"])
        return user_id, tokens

    async def at_auth(self, method: str, path: str, key: str, **options: Any) -> None:
        """Call Auth itself, past the API."""
        headers = {"Authorization": f"Bearer {key}"}
        answer = await self.supabase.request(method, f"/auth/v1{path}", headers=headers, **options)
        answer.raise_for_status()

    async def logout_at_auth(self, token: str, scope: str = "local") -> None:
        """End sessions at Auth itself."""
        await self.at_auth("POST", f"/logout?scope={scope}", token)


@pytest.fixture
async def fleet(system: System) -> AsyncIterator[Fleet]:
    """Two replicas of the kit's application."""
    async with _fleet(system, SLICES) as fleet:
        yield fleet


@pytest.fixture
async def whole_fleet(whole_system: System) -> AsyncIterator[Fleet]:
    """Two replicas of the application itself."""
    async with _fleet(whole_system, whole()) as fleet:
        yield fleet


@contextlib.asynccontextmanager
async def _fleet(system: System, features: Mapping[str, Feature]) -> AsyncIterator[Fleet]:
    async with contextlib.AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(running(replica_of(system, features))) for _ in range(2)
        ]
        headers = {"apikey": system.gateway.config.anon_key}
        client = httpx.AsyncClient(base_url=system.gateway.url, headers=headers)
        yield Fleet(system, replicas, await stack.enter_async_context(client))
