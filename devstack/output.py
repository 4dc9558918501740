"""Merges the lines of many programs into one stream that says whose line is whose."""

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
    """Where everything is printed; coloured on a terminal, unless NO_COLOR is set.

    While it is paused, lines wait.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.coloured = wants_colour(self._stream)
        self._names: list[str] = []
        self._waiting: list[str] | None = None
        self.closed = asyncio.Event()

    def say(self, line: str) -> None:
        """Print a line of the stack's own, as it is."""
        if self.closed.is_set():
            return
        if self._waiting is not None:
            self._waiting.append(line)
            return
        try:
            print(line, file=self._stream, flush=True)
        except (BrokenPipeError, ValueError):
            # Nobody reads any more (`./app up | head`); a stack that nobody sees is to stop.
            self.closed.set()
            if self._stream is sys.stdout:  # else the interpreter complains when it leaves
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def line(self, name: str, text: str) -> None:
        """Print a program's line behind its name."""
        if name not in self._names:
            self._names.append(name)
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        prefix = paint(colour, f"{name:<8} │", coloured=self.coloured)
        self.say(f"{prefix} {text}")

    def pause(self) -> None:
        """Let lines wait: a debugger has the terminal."""
        if self._waiting is None:
            self._waiting = []

    def resume(self) -> None:
        """Print the lines that waited."""
        waiting, self._waiting = self._waiting or [], None
        for line in waiting:
            self.say(line)


class Pump:
    """Carries the lines of one program to the output and remembers the last ones.

    With `hold` it keeps them until `release`: what several programs say when none of them starts
    can be printed once.
    """

    def __init__(
        self, name: str, output: Output, noise: tuple[str, ...] = (), *, hold: bool = False
    ) -> None:
        self._name, self._output, self._noise = name, output, noise
        self._hold = hold
        self.last_lines: deque[str] = deque(maxlen=_HELD_LINES if hold else _LAST_LINES)

    async def run(self, source: asyncio.StreamReader) -> None:
        """Carry until the program has closed its output; a line too long is cut in pieces."""
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
        """Print what was held; from now on lines are printed as they come."""
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
