"""One running program: start, wait, stop."""

import asyncio
import signal
import time
from typing import Self

from devstack.errors import ProgramError, StackError
from devstack.output import Output, Pump
from devstack.programs import Program, signal_group
from devstack.reaper import Reaper

_POLL = 0.02
_LAST_WORDS = 0.5


class Child:
    """A process of a program; its output is printed, and its end can be awaited."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, pump: Pump, reaper: Reaper
    ) -> None:
        self.program = program
        self.pid = process.pid
        self.stopping = False
        self._began = time.monotonic()
        self._pump = pump
        self._reaper = reaper
        self.ended = asyncio.create_task(self._live(process))

    @classmethod
    async def start(
        cls, program: Program, output: Output, reaper: Reaper, *, hold: bool = False
    ) -> Self:
        """Start the process; with `hold` its lines are printed only after `release`.

        Raises StackError if the system refuses to start it.
        """
        try:
            process = await asyncio.create_subprocess_exec(*program.argv, **program.options())
        except OSError as error:
            raise StackError(f"{program.name} cannot be started: {error}") from None
        reaper.watch(process.pid, program.stop_signal)
        pump = Pump(program.name, output, program.noise, hold=hold)
        return cls(program, process, pump, reaper)

    async def wait_until_ready(self) -> None:
        """Return when the program is ready.

        Raises ProgramError, with the program's last lines, if it ends first or takes too long.
        """
        deadline = time.monotonic() + self.program.start_limit
        while not await asyncio.to_thread(self.program.ready):
            if self.ended.done():
                raise self.obituary("did not start")
            if time.monotonic() > deadline:
                raise self._error(f"did not get ready within {self.program.start_limit:.0f} s")
            await asyncio.wait({self.ended}, timeout=_POLL)
        if self.ended.done():  # another program answered on its port
            raise self.obituary("did not start")

    def release(self) -> None:
        """Print the held lines, and from now on each line immediately."""
        self._pump.release()

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._began

    async def stop(self) -> None:
        """End the process group: with the program's own signal and, after its grace, by force."""
        self.stopping = True
        if not self.ended.done():
            signal_group(self.pid, self.program.stop_signal)
            await asyncio.wait({self.ended}, timeout=self.program.grace)
        self.kill()
        await self.ended

    def kill(self) -> None:
        """Kill the rest of the process group immediately."""
        self.stopping = True
        if not self.ended.done():
            signal_group(self.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Return the exit code or the name of the signal."""
        code = self.ended.result()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def obituary(self, what: str) -> ProgramError:
        """Return an error that says how the program ended, with its last lines."""
        return self._error(f"{what} ({self.how_it_ended()})")

    def _error(self, what: str) -> ProgramError:
        return ProgramError(self.program.name, what, self._pump.last_lines)

    async def _live(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdout is not None  # Program.options asks for a pipe
        pump = asyncio.create_task(self._pump.run(process.stdout))
        code = await process.wait()
        # The leader has ended; the rest of its group must not outlive it.
        signal_group(self.pid, signal.SIGKILL)
        self._reaper.forget(self.pid)
        # A process that left the group may hold the pipe open: do not wait for it.
        await asyncio.wait({pump}, timeout=_LAST_WORDS)
        pump.cancel()
        return code
