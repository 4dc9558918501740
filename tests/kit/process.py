"""`./app api` as a process of its own, in front of this worker's stack."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from kernel.discovery import discover
from kit.servers import Stack

ROOT = Path(__file__).parents[2]


def environment(stack: Stack, **changes: str) -> dict[str, str]:
    """Return the settings of a process in front of the stack, with limits that nobody meets."""
    cache = urlsplit(stack.cache_url)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "platform"),
        "ENV_FILE": os.devnull,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.gateway.anon_key,
        "SUPABASE_SERVICE_KEY": stack.gateway.service_key,
        "JWT_SECRET": stack.gateway.jwt_secret,
        "REDIS_HOST": str(cache.hostname),
        "REDIS_PORT": str(cache.port),
        **raised_limits(),
        **changes,
    }


def raised_limits() -> dict[str, str]:
    """Return the settings of limits that nobody meets: whole processes see one client address."""
    declared = [limit.name(name) for name, one in discover().items() for limit in one.limits]
    names = ("default", "fallback", *declared)
    return {f"RATE_LIMIT_{name.upper()}": "1000000/minute" for name in names}


@contextlib.asynccontextmanager
async def api(env: dict[str, str], port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the process; it is ended if it has not ended by itself."""
    command = [sys.executable, "-m", "cli", "api", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def status(client: httpx.AsyncClient, path: str) -> int | None:
    """Return the answer's status, or None when nobody listens."""
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return None


async def until(client: httpx.AsyncClient, path: str, wanted: int | None) -> None:
    """Wait until the status is the wanted one."""
    async with asyncio.timeout(20):
        while await status(client, path) != wanted:
            await asyncio.sleep(0.02)
