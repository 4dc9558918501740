"""The stack's folder in the checkout: its lock, its data, and the values of the running stack."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devstack.errors import StackError

_MARKER = "OWNED_BY_APP_UP"
_KEPT = {_MARKER, "lock", "ports.json"}
_PATIENCE = 8.0


class StackFolder:
    """`.stack` in a checkout; one stack at a time runs in it."""

    def __init__(self, root: Path) -> None:
        self.path = root / ".stack"
        self._lock, self._state = self.path / "lock", self.path / "state.json"

    def make(self) -> None:
        """Create the folder. Raises StackError if another file has this name."""
        marker = self.path / _MARKER
        if self.path.exists() and not marker.exists() and any(self.path.iterdir()):
            raise StackError(
                f"{self.path} exists and was not made by ./app up: move it away and start again."
            )
        self.path.mkdir(exist_ok=True)
        marker.write_text("This folder is made by ./app up, and emptied by ./app up --fresh.\n")

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the lock; yield its file descriptor.

        Raises StackError if another stack runs here. After a killed stack, it waits until the
        reaper has ended the rest of it.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._acquire(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        """Delete the data in the folder; only the holder of the lock may call this."""
        for path in self.path.iterdir():
            if path.name in _KEPT:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def write_values(self, values: dict[str, str]) -> None:
        """Store the running stack's values, readable only by this user."""
        unfinished = self._state.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"pid": os.getpid(), "values": values}, file)
        unfinished.rename(self._state)

    def forget_values(self) -> None:
        """Delete the values: no stack runs."""
        self._state.unlink(missing_ok=True)

    def read_values(self) -> dict[str, str]:
        """Return the running stack's values. Raises StackError if none runs."""
        try:
            with self._lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except BlockingIOError:
            return self._values_of_running()
        raise StackError("No stack runs here: start it with ./app up")

    def _values_of_running(self) -> dict[str, str]:
        try:
            state: dict[str, Any] = json.loads(self._state.read_text())
        except FileNotFoundError:
            raise StackError(
                "The stack is starting or stopping: try again when ./app up says ready."
            ) from None
        except PermissionError:
            raise StackError(f"{self._state} belongs to the user who started the stack.") from None
        return dict(state["values"])

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode().strip()
                if _lives(holder) or time.monotonic() > deadline:
                    raise StackError(
                        f"The stack of this checkout is already running (pid {holder or '?'}): "
                        "stop it first, or use another checkout with --port."
                    ) from None
                time.sleep(0.05)
            else:
                return


def _lives(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
