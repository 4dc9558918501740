"""Processes of the command line that use this worker's stack."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from kernel.boot.discovery import discover
from kit.servers import Stack

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join(str(ROOT / name) for name in ("", "platform", "tests"))


@dataclass(frozen=True)
class Program:
    """A command line; `slices` is the package in which its processes find their slices."""

    argv: tuple[str, ...]
    slices: str


APPLICATION: Final = Program((sys.executable, "-m", "cli"), "features")
KIT: Final = Program((sys.executable, "-m", "kit.entry"), "kit.slices")


def environment(stack: Stack, program: Program = KIT, **changes: str) -> dict[str, str]:
    """Return the settings of a process that uses the stack, with limits that no test reaches."""
    cache = urlsplit(stack.cache_url)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "ENV_FILE": os.devnull,
        "SUPABASE_URL": stack.supabase_url,
        "SUPABASE_KEY": stack.gateway.anon_key,
        "SUPABASE_SERVICE_KEY": stack.gateway.service_key,
        "JWT_SECRET": stack.gateway.jwt_secret,
        "REDIS_HOST": str(cache.hostname),
        "REDIS_PORT": str(cache.port),
        "BROKER_HOST": str(cache.hostname),
        "BROKER_PORT": str(cache.port),
        **raised_limits(program),
        **changes,
    }


def raised_limits(program: Program) -> dict[str, str]:
    """Return limits that no test reaches: a whole process sees one client address."""
    slices = discover(program.slices)
    declared = [limit.name(name) for name, one in slices.items() for limit in one.limits]
    names = ("default", "fallback", *declared)
    return {f"RATE_LIMIT_{name.upper()}": "1000000/minute" for name in names}


@contextlib.asynccontextmanager
async def api(
    env: dict[str, str], port: int, program: Program = KIT
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `api`; stop it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(*program.argv, "api", "--port", str(port)),
        cwd=ROOT,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it was killed, and had no workers
                os.killpg(process.pid, signal.SIGKILL)  # its workers hold the output open, too
        await process.communicate()


async def status(client: httpx.AsyncClient, path: str) -> int | None:
    """Return the response's status, or None if no server listens."""
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return None


async def until(client: httpx.AsyncClient, path: str, wanted: int | None) -> None:
    """Wait until the status is this one; a busy machine needs long to start several processes."""
    async with asyncio.timeout(60):
        while await status(client, path) != wanted:
            await asyncio.sleep(0.02)
