"""Starts programs, watches them, and always ends all of them."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from devstack.child import Child
from devstack.errors import ProgramError, StackError, said_once, together
from devstack.output import Output
from devstack.programs import Program
from devstack.reaper import Reaper
from devstack.reload import Changes

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Programs that fail for the same reason do so within this time, and the reason is printed once.
_TOGETHER = 15.0
_CRASHES_TOGETHER = 0.5
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
_STEADY = 60.0  # seconds: what ran as long is not in a row of crashes


class Supervisor:
    """Runs two kinds of programs: servers of the stack, and applications on top of it.

    If a server ends by itself, everything ends. An application is restarted when the code changes.
    After its first successful start, its crash ends nothing else: it starts again after a pause of
    `pauses` (seconds), and after as many crashes in a row only when the code changes.
    """

    def __init__(
        self, output: Output, reaper: Reaper, *, pauses: Sequence[float] = _PAUSES
    ) -> None:
        self._output, self._reaper, self._pauses = output, reaper, pauses
        self._crashes: Counter[str] = Counter()
        self._children: list[Child] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, bring_up: Callable[[], Awaitable[None]]) -> None:
        """Start everything, run until a signal or a failure, end everything.

        A second signal kills immediately. Raises the errors of `bring_up`, and StackError if a
        server of the stack ends by itself.
        """
        loop = asyncio.get_running_loop()
        taken = [one for one in _SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
        for number in {*taken, signal.SIGINT}:  # a shell's background jobs ignore SIGINT; we do not
            loop.add_signal_handler(number, self._interrupted)
        try:
            await self._until_the_end(asyncio.ensure_future(_call(bring_up)))
        finally:
            await self._end()
            for number in {*taken, signal.SIGINT}:
                loop.remove_signal_handler(number)

    async def start_parts(self, *programs: Program) -> None:
        """Start servers of the stack in parallel and return when all are ready."""
        children = [await self._start(program) for program in programs]
        await asyncio.gather(*(child.wait_until_ready() for child in children))
        for child in children:
            self.keep(self._watch(child))

    async def start_applications(self, programs: Iterable[Program], changes: Changes) -> None:
        """Start applications and return when all are ready; from then on changes restart them.

        Raises StackError if one does not start; a reason that several share is in it once.
        """
        seen = changes.count
        children = [await self._start(program, hold=True) for program in programs]
        self._output.say(f"starting {together(child.program.name for child in children)} …")
        if errors := await self._errors_of_start(children):
            raise StackError(said_once(errors))
        self.keep(self._restart_on_change(children, changes, seen))

    async def _start(self, program: Program, *, hold: bool = False) -> Child:
        child = await Child.start(program, self._output, self._reaper, hold=hold)
        self._children.append(child)
        return child

    async def _watch(self, child: Child) -> None:
        await asyncio.wait({child.ended})
        if not child.stopping and not self._failed.done():
            self._failed.set_exception(child.obituary("ended unexpectedly"))

    async def _restart_on_change(self, children: list[Child], changes: Changes, seen: int) -> None:
        running = children
        while True:
            change = asyncio.create_task(changes.beyond(seen))
            try:
                while not change.done():
                    children, running = await self._until_one_ends(children, running, change)
                seen = await change
                self._crashes.clear()
            finally:
                change.cancel()
            names = together(child.program.name for child in children)
            self._output.say(f"restarting {names}: {changes.latest} changed")
            children = list(await asyncio.gather(*map(self._replace, children)))
            running = await self._until_ready_again(children, changes, seen)

    async def _until_one_ends(
        self, children: list[Child], running: list[Child], change: asyncio.Task[int]
    ) -> tuple[list[Child], list[Child]]:
        """Wait for an end or a change; return all children, and those that run.

        What has ended is printed, and starts again after its pause, unless a change comes first.
        """
        await asyncio.wait(
            {change, *(child.ended for child in running)}, return_when=asyncio.FIRST_COMPLETED
        )
        if change.done():
            return children, running
        await asyncio.wait({change}, timeout=_CRASHES_TOGETHER)
        ended = [child for child in running if child.ended.done()]
        running = [child for child in running if child not in ended]
        for child in ended:  # its last lines were already printed
            self._output.say(f"{child.program.name} ended ({child.how_it_ended()})")
            if child.age > _STEADY:
                del self._crashes[child.program.name]
            self._crashes[child.program.name] += 1
        again = [one for one in ended if self._crashes[one.program.name] <= len(self._pauses)]
        self._say_when_again([child for child in ended if child not in again])
        if not again:
            return children, running
        pause = max(self._pauses[self._crashes[one.program.name] - 1] for one in again)
        self._say_again(again, f"in {pause:g} s")
        await asyncio.wait({change}, timeout=pause)
        if change.done():
            return children, running
        fresh = {child: await self._replace(child) for child in again}
        children = [fresh.get(child, child) for child in children]
        return children, running + await self._started(list(fresh.values()), change)

    async def _started(self, children: list[Child], change: asyncio.Task[int]) -> list[Child]:
        """Return the children when they are ready or have ended, or on a change."""
        start = asyncio.create_task(self._errors_of_start(children))
        try:
            await asyncio.wait({start, change}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            start.cancel()
        for child in children:
            child.release()
        names = [child.program.name for child in children if not child.ended.done()]
        if names and not change.done():
            self._output.say(f"{together(names)} {_are(names)} ready again")
        return children

    async def _replace(self, child: Child) -> Child:
        await child.stop()
        self._children.remove(child)
        return await self._start(child.program, hold=True)

    async def _until_ready_again(
        self, children: list[Child], changes: Changes, seen: int
    ) -> list[Child]:
        """Return those that run, after printing which are ready and which are not."""
        start = asyncio.create_task(self._errors_of_start(children))
        change = asyncio.create_task(changes.beyond(seen))
        try:
            await asyncio.wait({start, change}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():  # its output is about code that has changed again
                return children
            errors = await start
        finally:
            start.cancel()
            change.cancel()
        if errors:
            self._output.say(said_once(errors))
        failed = [child for child in children if child.ended.done()]
        self._say_when_again(failed)
        running = [child for child in children if child not in failed]
        for child in running:
            child.release()
        if running and not errors:
            names = [child.program.name for child in running]
            self._output.say(f"{together(names)} {_are(names)} ready again")
        return running

    def _say_when_again(self, ended: list[Child]) -> None:
        if ended:
            self._say_again(ended, "when a file changes")

    def _say_again(self, ended: list[Child], when: str) -> None:
        names = [child.program.name for child in ended]
        verb = "starts" if len(names) == 1 else "start"
        self._output.say(f"{together(names)} {verb} again {when}")

    @staticmethod
    async def _errors_of_start(children: list[Child]) -> list[ProgramError]:
        """Return why programs did not start; return when all are ready or one has failed."""
        starts = [asyncio.create_task(_ready(child)) for child in children]
        try:
            await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)
            await asyncio.wait(starts, timeout=_TOGETHER)
        finally:
            for start in starts:
                start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)
        errors = [start.exception() for start in starts if not start.cancelled()]
        for error in errors:
            if error is not None and not isinstance(error, ProgramError):
                raise error
        return [error for error in errors if isinstance(error, ProgramError)]

    def keep(self, work: Awaitable[None]) -> None:
        """Run a task in parallel, until everything ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _until_the_end(self, bring_up: asyncio.Future[None]) -> None:
        ends = {
            asyncio.ensure_future(_wait(self._stop)),
            asyncio.ensure_future(_wait(self._output.closed)),
        }
        try:
            await asyncio.wait({bring_up, self._failed, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if bring_up.done() and not isinstance(bring_up.exception(), StackError | None):
                # Probably a server died meanwhile: its own error says more.
                await asyncio.wait({self._failed}, timeout=0.5)
            if bring_up.done() and not self._failed.done():
                bring_up.result()
                await asyncio.wait({self._failed, *ends}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
        finally:
            for future in (bring_up, *ends):
                future.cancel()
            await asyncio.gather(bring_up, *ends, return_exceptions=True)

    def _interrupted(self) -> None:
        if self._stop.is_set():
            for child in self._children:
                child.kill()
        else:
            # The terminal has printed ^C: start the line over it.
            start = "\r" if self._output.coloured else ""
            self._output.say(f"{start}stopping … (Ctrl-C again kills at once)")
        self._stop.set()

    async def _end(self) -> None:
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in reversed(self._children):
            await child.stop()
        if not self._failed.cancel():
            self._failed.exception()  # retrieve it: asyncio warns about unread exceptions


async def _ready(child: Child) -> None:
    await child.wait_until_ready()
    child.release()


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


async def _call(function: Callable[[], Awaitable[None]]) -> None:
    await function()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
