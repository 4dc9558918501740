"""Starts programs, watches them, and ends them all, whatever happens."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from devstack.child import Child
from devstack.errors import StackError
from devstack.output import Output
from devstack.programs import Program
from devstack.reaper import Reaper
from devstack.reload import Changes

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs two kinds of programs: parts of the stack, and applications on top of it.

    A part that ends by itself ends everything. An application is started again when the code
    changes; once it has had a good start, its crash ends nothing.
    """

    def __init__(self, output: Output, reaper: Reaper) -> None:
        self._output, self._reaper = output, reaper
        self._children: list[Child] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, bring_up: Callable[[], Awaitable[None]]) -> None:
        """Bring everything up, stay until a signal or a failure comes, end everything.

        A second signal kills at once. Raises what `bring_up` raises, and StackError when a part
        of the stack ends by itself.
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
        """Start parts of the stack side by side and return when all are ready."""
        children = [await self._start(program) for program in programs]
        await asyncio.gather(*(child.wait_until_ready() for child in children))
        for child in children:
            self.keep(self._watch(child))

    async def start_application(self, program: Program, changes: Changes) -> None:
        """Start an application and return when it is ready; from then on changes restart it."""
        seen = changes.count
        child = await self._start(program)
        await child.wait_until_ready()
        self.keep(self._restart_on_change(child, changes, seen))

    async def _start(self, program: Program) -> Child:
        child = await Child.start(program, self._output, self._reaper)
        self._children.append(child)
        return child

    async def _watch(self, child: Child) -> None:
        await asyncio.wait({child.ended})
        if not child.stopping and not self._failed.done():
            self._failed.set_exception(StackError(child.obituary("ended unexpectedly")))

    async def _restart_on_change(self, child: Child, changes: Changes, seen: int) -> None:
        name = child.program.name
        while True:
            change = asyncio.create_task(changes.beyond(seen))
            try:
                await asyncio.wait({child.ended, change}, return_when=asyncio.FIRST_COMPLETED)
                if not change.done():
                    self._output.say(child.obituary("ended"))
                    self._output.say(f"{name} starts again when a file changes")
                seen = await change
            finally:
                change.cancel()
            self._output.say(f"restarting {name}: {changes.latest} changed")
            await child.stop()
            self._children.remove(child)
            child = await self._start(child.program)
            self.keep(self._tell_when_ready(child))

    async def _tell_when_ready(self, child: Child) -> None:
        # An end, or another change, before it is ready: whoever restarts it says so.
        with contextlib.suppress(StackError):
            await child.wait_until_ready()
            self._output.say(f"{child.program.name} is ready again")

    def keep(self, work: Awaitable[None]) -> None:
        """Run something beside, until everything ends."""
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
                # Most likely a server died under our hands: its own words say more.
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
            self._output.say("stopping … (Ctrl-C again kills at once)")
        self._stop.set()

    async def _end(self) -> None:
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for child in reversed(self._children):
            await child.stop()
        if not self._failed.cancel():
            self._failed.exception()  # asyncio complains about exceptions that nobody looked at


async def _call(function: Callable[[], Awaitable[None]]) -> None:
    await function()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
