"""Ends the processes that a killed process has started, although it could not do so itself.

The reaper reads from a pipe with a single writer. When the writer ends in any way (SIGKILL
included), the pipe ends. Then the reaper ends the registered process groups and removes the
registered folders. This works on every Unix and for whole groups; PR_SET_PDEATHSIG does not. The
file runs as a script and needs only the standard library, so that it starts in 20 ms.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 5.0


class Reaper:
    """The writer's end: it registers what must end with this process."""

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        """Start the reaper; it keeps these file descriptors (a lock) open until it is done."""
        self._process = subprocess.Popen(  # noqa: S603 - this file, no shell
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep_open,
            cwd="/",
        )

    def watch(self, pid: int, number: int) -> None:
        """End this process group with that signal, and with SIGKILL after a grace."""
        self._tell(f"watch {pid} {int(number)}")

    def forget(self, pid: int) -> None:
        """Unregister this process group: it has ended, and its number may be reused."""
        self._tell(f"forget {pid}")

    def remove(self, folder: Path) -> None:
        """Delete this folder at the end."""
        self._tell(f"remove {folder}")

    def finish(self) -> None:
        """Let the reaper end the rest, and wait for it."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(os.fsencode(line) + b"\n")
                self._process.stdin.flush()


def _reap() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin.buffer:
        word, _, rest = os.fsdecode(line.rstrip(b"\n")).partition(" ")
        if word == "remove":
            folders.append(rest)
        elif word == "watch":
            pid, _, number = rest.partition(" ")
            groups[int(pid)] = int(number)
        else:
            groups.pop(int(rest), None)
    _end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _end(groups: dict[int, int]) -> None:
    deadline = time.monotonic() + GRACE
    alive = [pid for pid, number in groups.items() if _signal(pid, number)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [pid for pid in alive if _signal(pid, 0)]
    for pid in alive:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> bool:
    try:
        os.killpg(pid, number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    _reap()
