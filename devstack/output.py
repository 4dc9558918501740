"""Merges the lines of many programs into one stream, with the program's name on each line."""

import asyncio
import os
import sys
from collections import deque
from typing import TextIO

from devstack.colour import paint, wants_colour

_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92")
_CHUNK = 65536
_LAST_LINES = 12
_HELD_LINES = 200


class Output:
    """Prints all output; coloured on a terminal, unless NO_COLOR is set.

    While it is paused, lines wait.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.coloured = wants_colour(self._stream)
        self._names: list[str] = []
        self._waiting: list[str] | None = None
        self.closed = asyncio.Event()

    def say(self, line: str) -> None:
        """Print a line of the stack itself, unchanged."""
        if self.closed.is_set():
            return
        if self._waiting is not None:
            self._waiting.append(line)
            return
        try:
            print(line, file=self._stream, flush=True)
        except (BrokenPipeError, ValueError):
            # The reader has closed the pipe (`./app up | head`): stop a stack without output.
            self.closed.set()
            if self._stream is sys.stdout:  # otherwise the interpreter reports an error at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def line(self, name: str, text: str) -> None:
        """Print a program's line after its name."""
        if name not in self._names:
            self._names.append(name)
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        prefix = paint(colour, f"{name:<8} │", coloured=self.coloured)
        self.say(f"{prefix} {text}")

    def pause(self) -> None:
        """Hold lines: a debugger has the terminal."""
        if self._waiting is None:
            self._waiting = []

    def resume(self) -> None:
        """Print the held lines."""
        waiting, self._waiting = self._waiting or [], None
        for line in waiting:
            self.say(line)


class Pump:
    """Copies the lines of one program to the output and remembers the last ones.

    With `hold` it keeps them until `release`, so that equal output of several failed programs is
    printed once.
    """

    def __init__(
        self, name: str, output: Output, noise: tuple[str, ...] = (), *, hold: bool = False
    ) -> None:
        self._name, self._output, self._noise = name, output, noise
        self._hold = hold
        self.last_lines: deque[str] = deque(maxlen=_HELD_LINES if hold else _LAST_LINES)

    async def run(self, source: asyncio.StreamReader) -> None:
        """Copy until the program has closed its output; a line that is too long is split."""
        rest = b""
        while chunk := await source.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > _CHUNK:
                self._take(rest)
                rest = b""
        if rest:
            self._take(rest)

    def release(self) -> None:
        """Print the held lines; from now on print each line immediately."""
        if self._hold:
            self._hold = False
            for text in self.last_lines:
                self._print(text)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last_lines.append(text)
        if not self._hold:
            self._print(text)

    def _print(self, text: str) -> None:
        if not any(part in text for part in self._noise):
            self._output.line(self._name, text)
