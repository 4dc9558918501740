"""`breakpoint()` under `./app up`: the stopped program gets the terminal until it continues.

Programs of the stack have neither a terminal nor standard input. PYTHONBREAKPOINT makes
`breakpoint()` call `prompt`, which asks the stack for its terminal through a Unix socket. The stack
passes the file descriptors (SCM_RIGHTS) and prints nothing until that connection is closed, at the
latest by the program's end.
"""

import asyncio
import contextlib
import os
import pdb  # noqa: T100 - this is the debugger
import signal
import socket
import sys
import tempfile
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

from devstack.output import Output
from devstack.reaper import Reaper

_PLACE = "DEVSTACK_DEBUGGER"
_LAST_WORDS = 0.05


class Terminal:
    """The stack's side: lends its terminal to one program at a time."""

    def __init__(self, output: Output, server: socket.socket | None) -> None:
        self._output, self._server = output, server

    @classmethod
    def listen(cls, output: Output, reaper: Reaper) -> Self:
        """Listen for programs, if standard input and output are a terminal."""
        if not (os.isatty(0) and os.isatty(1)):
            return cls(output, None)
        # A separate folder: a socket's path has at most 100 bytes, which a checkout's may exceed.
        folder = Path(tempfile.mkdtemp(prefix="devstack-"))
        reaper.remove(folder)
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(folder / "debugger"))
        server.listen()
        server.settimeout(0)
        return cls(output, server)

    @property
    def coloured(self) -> bool:
        """Whether the stack's output has colours."""
        return self._output.coloured

    def environment(self) -> dict[str, str]:
        """Return the variables that tell programs how to reach the terminal."""
        found = {"PYTHONBREAKPOINT": f"{__name__}.{prompt.__name__}"}
        if self._server is not None:
            found[_PLACE] = self._server.getsockname()
        return found

    async def serve(self) -> None:
        """Lend the terminal until cancelled; restore its state at the end."""
        loop = asyncio.get_running_loop()
        while self._server is not None:
            line, _ = await loop.sock_accept(self._server)
            with line:
                line.settimeout(0)
                if _in_the_foreground():
                    await self._lend(line)

    async def _lend(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        if not (pid := await loop.sock_recv(line, 16)):
            return
        await asyncio.sleep(_LAST_WORDS)  # earlier output of the program is still in the pipe
        self._output.pause()
        before = termios.tcgetattr(0)
        try:
            termios.tcflush(0, termios.TCIFLUSH)  # discard keys that were pressed before
            with contextlib.suppress(OSError):  # the program has ended
                socket.send_fds(line, [b"!"], [0, 1])
                if not await loop.sock_recv(line, 1):
                    os.write(1, b"\n")  # its end leaves the prompt unfinished
        except asyncio.CancelledError:
            # The stack ends: from now on only the shell may read from its terminal.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            raise
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            self._output.resume()


def _in_the_foreground() -> bool:
    """Whether the terminal's keys reach this process; not after `./app up &`."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # the terminal belongs to another session
        return False


def prompt(*_: Any, **__: Any) -> None:
    """Stop at the call of `breakpoint()`, and prompt for commands in the terminal."""
    frame = sys._getframe(1)  # noqa: SLF001 - as pdb.set_trace does
    if _PLACE in os.environ:
        _Prompt().set_trace(frame)
    else:
        _say_skipped(frame)


class _Prompt(pdb.Pdb):
    """Python's debugger, which has the terminal only while it waits for a command."""

    def __init__(self) -> None:
        super().__init__(nosigint=True)  # Ctrl-C goes to the stack

    def interaction(self, frame: FrameType | None, *arguments: Any, **more: Any) -> None:
        """Prompt for commands until one continues the program."""
        with _borrowed() as borrowed:
            if borrowed:
                self.stdout = sys.stdout
                super().interaction(frame, *arguments, **more)
                return
        self.set_continue()
        _say_skipped(frame)


def _say_skipped(frame: FrameType | None) -> None:
    where = f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame else "an unknown place"
    text = f"breakpoint() in {where} was skipped: ./app up needs a terminal for it."
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - for the developer


@contextlib.contextmanager
def _borrowed() -> Iterator[bool]:
    """Use the stack's terminal as standard input and output; yield whether it was granted."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(os.environ[_PLACE])
            line.sendall(b"%d" % os.getpid())
            _, descriptors, *_ = socket.recv_fds(line, 1, 2)  # other data may come first
        except OSError:
            descriptors = []
        if not descriptors:
            yield False
            return
        with _standard(*descriptors), _ends_at_once():
            yield True
        line.sendall(b"!")  # otherwise its end ended the prompt


@contextlib.contextmanager
def _standard(source: int, target: int) -> Iterator[None]:
    files = sys.stdin, sys.stdout
    sys.stdout.flush()
    kept = os.dup(0), os.dup(1)
    try:
        # Line editing (readline) needs the descriptors 0 and 1 themselves.
        for own, lent in enumerate((source, target)):
            os.dup2(lent, own)
            os.close(lent)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - descriptors
        yield
        sys.stdout.flush()
    finally:
        sys.stdin, sys.stdout = files
        for own, before in enumerate(kept):
            os.dup2(before, own)
            os.close(before)


@contextlib.contextmanager
def _ends_at_once() -> Iterator[None]:
    """Let SIGTERM end this process: its own handler waits for a loop that is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
