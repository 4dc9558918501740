"""What the stack needs to know of a program that it runs."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.account import OsAccount


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program: how it is started, when it is ready, how it is stopped; times in seconds.

    `ready` is asked again and again and must answer within a second. `environment` is asked at
    each start; without it the program gets ours. Lines with a part in `noise` are shown only
    when the program fails.
    """

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    folder: Path | None = None
    environment: Callable[[], Mapping[str, str]] | None = None
    account: OsAccount | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 8
    start_limit: float = 30
    noise: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments for subprocess.Popen or its asyncio twin.

        Each program leads a session of its own, so that Ctrl-C reaches only the one who started
        it, and its whole process group can be ended.
        """
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "start_new_session": True,
            "cwd": self.folder,
            "env": None if self.environment is None else dict(self.environment()),
        }
        if self.account is not None:
            options |= self.account.options()
        return options


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that this process leads; a group that is gone is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers "not permitted" for a group of which only a zombie is left.
        return
