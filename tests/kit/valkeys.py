"""A separate Valkey server for a test, which the test kills, stops and starts again."""

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from devstack import Program
from devstack.testing import free_port, valkey_broker, valkey_cache
from kit.servers import REDIS_SERVER
from kit.waiting import until


class Valkey:
    """One server; `kill` sends SIGKILL, `freeze` stops its replies, `start` runs it again."""

    def __init__(self, folder: Path, *, keeps: bool) -> None:
        self.port, self.folder = free_port(), folder
        make = valkey_broker if keeps else valkey_cache
        self._program = make(self.port, folder, REDIS_SERVER)
        self._process: subprocess.Popen[Any] | None = None
        self.client = Redis(port=self.port, decode_responses=True, socket_timeout=5)

    async def start(self, *options: str, ready: bool = True) -> None:
        """Start it, with further command-line options; return when it replies."""
        self._process = _spawn(replace(self._program, argv=(*self._program.argv, *options)))
        if ready:
            await until(self._program.ready)

    def kill(self) -> None:
        """End it immediately, like a crash."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it: it accepts connections and never replies."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(name="valkey")
async def own_valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A separate cache for this test, running and empty."""
    server = Valkey(tmp_path / "valkey", keeps=False)
    await server.start()
    yield server
    server.client.close()
    server.kill()


def _spawn(program: Program) -> subprocess.Popen[Any]:
    options: dict[str, Any] = program.options() | {"stdout": subprocess.DEVNULL}
    return subprocess.Popen(program.argv, **options)
