"""The description of a program that the stack runs."""

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
    """One program: how to start it, when it is ready, how to stop it; times in seconds.

    `ready` is called repeatedly and must return within a second. `environment` is called at each
    start; without it the program gets ours. Lines that contain a text of `noise` are printed only
    if the program fails.
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
        """Return the keyword arguments for subprocess.Popen or its asyncio counterpart.

        Each program leads its own session, so that Ctrl-C does not reach it, and its whole process
        group can be ended.
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
    """Send a signal to the process group of this process; a group that has ended is accepted."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # macOS answers "not permitted" if only a zombie is left of a group.
        return
