import asyncio
import io
import os
import signal
import sys

import pytest

from devstack.errors import StackError
from devstack.output import Output
from devstack.programs import Program
from devstack.reaper import Reaper
from devstack.reload import Changes
from devstack.supervisor import Supervisor

STAY = "import time\nwhile True: time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nREADY\n{STAY}"


class Scene:
    """A supervisor, its output, and small Python programs for it."""

    def __init__(self, folder):
        self.folder = folder
        self.stream = io.StringIO()
        self.output = Output(self.stream)
        self.reaper = Reaper()
        self.supervisor = Supervisor(self.output, self.reaper, pauses=(0.01, 0.02))

    @property
    def printed(self):
        return self.stream.getvalue()

    def program(self, name, code, **more):
        """Return a program that is ready when its file `<name>.pid` contains its process id."""
        done = self.folder / f"{name}.pid"
        start = f"import os, pathlib\np = pathlib.Path({str(done)!r})\n"
        start += "p.with_suffix('.new').write_text(str(os.getpid()))\n"
        begin = "p.with_suffix('.new').rename(p)\n"
        code = start + (code if "READY" in code else f"READY\n{code}").replace("READY", begin)
        return Program(
            name=name, argv=(sys.executable, "-u", "-c", code), ready=done.exists, **more
        )

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    async def run(self, bring_up):
        async with asyncio.timeout(20):
            await self.supervisor.run(bring_up)


@pytest.fixture
async def scene(tmp_path):
    scene = Scene(tmp_path)
    yield scene
    scene.reaper.finish()


def interrupt(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything(scene, lives, number):
    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STAY), scene.program("two", STAY))
        interrupt(number)

    await scene.run(bring_up)
    assert not lives(scene.pid("one"))
    assert not lives(scene.pid("two"))


async def test_programs_are_stopped_in_reverse_order(scene):
    goodbye = "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(print('bye')))\nREADY\n"

    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", goodbye + STAY))
        await scene.supervisor.start_parts(scene.program("two", goodbye + STAY))
        interrupt()

    await scene.run(bring_up)
    assert scene.printed.index("two      │ bye") < scene.printed.index("one      │ bye")


async def test_a_program_that_ignores_the_signal_is_killed_after_its_grace(scene, lives):
    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STUBBORN, grace=0.2))
        interrupt()

    await scene.run(bring_up)
    assert not lives(scene.pid("one"))


async def test_a_second_signal_kills_at_once(scene, lives):
    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STUBBORN, grace=60))
        interrupt()
        asyncio.get_running_loop().call_later(0.1, interrupt)

    await scene.run(bring_up)
    assert not lives(scene.pid("one"))


async def test_a_signal_while_starting_ends_what_has_started(scene, lives):
    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STAY))
        interrupt()
        await asyncio.Event().wait()

    await scene.run(bring_up)
    assert not lives(scene.pid("one"))


async def test_children_of_a_program_end_with_it(scene, lives, until):
    fork = f"import subprocess, sys\nc = subprocess.Popen([sys.executable, '-c', {STAY!r}])\n"
    fork += f"pathlib.Path({str(scene.folder)!r}, 'child').write_text(str(c.pid))\nREADY\nc.wait()"

    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", fork))
        interrupt()

    await scene.run(bring_up)
    child = int((scene.folder / "child").read_text())
    until(lambda: not lives(child))


async def test_a_part_that_ends_by_itself_ends_everything_with_its_last_lines(scene, lives):
    async def bring_up():
        last_words = "import sys\nprint('so long')\nsys.exit(3)"
        await scene.supervisor.start_parts(scene.program("one", STAY))
        await scene.supervisor.start_parts(scene.program("two", last_words))

    with pytest.raises(StackError) as raised:
        await scene.run(bring_up)
    assert str(raised.value).startswith("two ")
    assert "(exit code 3). Its last lines:\n    so long" in str(raised.value)
    assert not lives(scene.pid("one"))


async def test_a_killed_part_is_named_with_its_signal(scene):
    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STAY))
        os.kill(scene.pid("one"), signal.SIGKILL)

    with pytest.raises(
        StackError, match=r"^one ended unexpectedly \(SIGKILL\) and printed nothing"
    ):
        await scene.run(bring_up)


async def test_a_program_that_does_not_start_ends_everything(scene, lives):
    broken = "raise SystemExit('no')\nREADY"

    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STAY))
        await scene.supervisor.start_applications(
            [scene.program("api", broken)], Changes(scene.folder, [])
        )

    with pytest.raises(StackError, match=r"api did not start \(exit code 1\)"):
        await scene.run(bring_up)
    assert not lives(scene.pid("one"))


async def test_a_fault_of_several_applications_is_printed_once(scene):
    same = (
        "print('{}: line of its own')\nprint('a')\nprint('the reason')\nraise SystemExit(1)\nREADY"
    )
    other = "raise SystemExit('another reason')\nREADY"
    codes = {"api": same, "worker": same, "relay": other, "beat": same}

    async def bring_up():
        programs = [scene.program(name, code.format(name)) for name, code in codes.items()]
        await scene.supervisor.start_applications(programs, Changes(scene.folder, []))

    with pytest.raises(StackError) as raised:
        await scene.run(bring_up)
    assert str(raised.value).splitlines() == [
        "api, worker and beat did not start (exit code 1):",
        "    api: line of its own",
        "    a",
        "    the reason",
        "relay did not start (exit code 1). Its last lines:",
        "    another reason",
    ]
    assert "reason" not in scene.printed


async def test_applications_are_restarted_and_reported_together(scene):
    code = scene.folder / "features"
    code.mkdir()
    changes = Changes(scene.folder, [code])
    fault = scene.folder / "fault"
    body = f"if pathlib.Path({str(fault)!r}).exists(): raise SystemExit('a fault')\n"
    body += f"print('hello')\nREADY\n{STAY}"
    names = ("api", "worker")

    async def change_until(words):
        count = changes.count
        while changes.count == count:  # the watcher may not notice the first change
            for name in names:  # otherwise the files of the last start count as ready
                (scene.folder / f"{name}.pid").unlink(missing_ok=True)
            (code / "a.py").write_text("")
            await asyncio.sleep(0.05)
        while words not in scene.printed:
            await asyncio.sleep(0.02)

    async def bring_up():
        scene.supervisor.keep(changes.watch())
        programs = [scene.program(name, body) for name in names]
        await scene.supervisor.start_applications(programs, changes)
        fault.touch()
        await change_until("api and worker start again when a file changes")
        fault.unlink()
        await change_until("api and worker are ready again")
        interrupt()

    await scene.run(bring_up)
    lines = scene.printed.splitlines()
    # The watcher may report one change twice.
    assert lines.count("restarting api and worker: features/a.py changed") >= 2
    assert lines.count("    a fault") == 1
    assert lines.count("api and worker did not start (exit code 1):") == 1
    assert lines.count("api      │ hello") == 2


async def test_crashes_at_the_same_time_are_reported_together(scene):
    end = scene.folder / "end"
    body = f"READY\nimport time\nwhile not pathlib.Path({str(end)!r}).exists(): time.sleep(0.01)\n"
    body += "raise SystemExit('last words')"

    async def bring_up():
        programs = [scene.program(name, body) for name in ("api", "worker")]
        await scene.supervisor.start_applications(programs, Changes(scene.folder, []))
        end.touch()
        while "api and worker start again when a file changes" not in scene.printed:
            await asyncio.sleep(0.02)
        interrupt()

    await scene.run(bring_up)
    assert "\napi ended (exit code 1)\nworker ended (exit code 1)\n" in scene.printed
    assert "\napi and worker start again in 0.01 s\n" in scene.printed
    assert scene.printed.count("last words") == 2 * 3


async def test_o7_a_crashed_application_starts_again_after_a_pause(scene):
    runs = scene.folder / "runs"
    body = f"runs = pathlib.Path({str(runs)!r})\n"
    body += "number = len(runs.read_text()) if runs.exists() else 0\n"
    body += "runs.write_text('x' * (number + 1))\n"
    body += f"READY\nimport time; time.sleep(0.3)\nif number < 2: raise SystemExit(7)\n{STAY}"

    async def bring_up():
        programs = [scene.program("api", body), scene.program("worker", STAY)]
        await scene.supervisor.start_applications(programs, Changes(scene.folder, []))
        while not (runs.read_text() == "xxx" and scene.printed.count("is ready again") >= 2):
            await asyncio.sleep(0.02)
        interrupt()

    await scene.run(bring_up)
    lines = scene.printed.splitlines()
    assert lines.count("api ended (exit code 7)") == 2
    assert [line for line in lines if "starts again" in line] == [
        "api starts again in 0.01 s",
        "api starts again in 0.02 s",
    ]
    assert "worker ended" not in scene.printed


def test_paused_output_waits():
    stream = io.StringIO()
    output = Output(stream)
    output.pause()
    output.pause()
    output.line("api", "one")
    output.say("two")
    assert not stream.getvalue()
    output.resume()
    output.resume()
    output.say("three")
    assert stream.getvalue() == "api      │ one\ntwo\nthree\n"


async def test_a_program_that_cannot_be_run_is_a_sentence(scene):
    async def bring_up():
        missing = Program(name="one", argv=("/no/such/program",), ready=lambda: True)
        await scene.supervisor.start_parts(missing)

    with pytest.raises(StackError, match="one cannot be started"):
        await scene.run(bring_up)


async def test_a_program_that_never_gets_ready_is_a_sentence(scene, lives):
    async def bring_up():
        slow = Program(name="one", argv=("sleep", "60"), ready=lambda: False, start_limit=0.1)
        await scene.supervisor.start_parts(slow)

    with pytest.raises(StackError, match="one did not get ready within"):
        await scene.run(bring_up)


async def test_a_change_restarts_an_application_that_has_crashed_too_often(scene, until):
    code = scene.folder / "features"
    code.mkdir()
    changes = Changes(scene.folder, [code])
    crash = scene.folder / "crash"
    body = f"READY\nif pathlib.Path({str(crash)!r}).exists(): raise SystemExit('crashed')\n{STAY}"
    api = scene.program("api", body)

    async def printed(what):
        while what not in scene.printed:
            await asyncio.sleep(0.02)

    async def bring_up():
        scene.supervisor.keep(changes.watch())
        await scene.supervisor.start_parts(scene.program("one", STAY))
        await scene.supervisor.start_applications([api], changes)
        first = scene.pid("api")
        crash.touch()
        while not changes.count:  # the watcher may not notice the first change
            (code / "a.py").write_text("")
            await asyncio.sleep(0.05)
        await printed("restarting api: features/a.py changed")
        await printed("api starts again when a file changes")
        crash.unlink()
        count = changes.count
        while changes.count == count:
            (scene.folder / ".env").write_text("A=1")
            await asyncio.sleep(0.05)
        await printed("restarting api: .env changed")
        await asyncio.to_thread(until, lambda: scene.pid("api") != first)
        interrupt()

    await scene.run(bring_up)


async def test_other_files_do_not_count_as_changes(tmp_path):
    (tmp_path / "features").mkdir()
    changes = Changes(tmp_path, [tmp_path / "features"])
    watching = asyncio.create_task(changes.watch())
    while not changes.count:
        (tmp_path / "other").write_text("1")
        (tmp_path / "features" / "note.txt").write_text("1")
        (tmp_path / "features" / "a.py").write_text("1")
        await asyncio.sleep(0.05)
    assert changes.latest == "features/a.py"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_lines_are_marked_and_long_ones_cut(scene):
    talk = "print('x' * 200_000)\nprint('ä', end='')\nimport sys\nsys.stdout.flush()\nREADY\n"

    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", talk + STAY))
        interrupt()

    await scene.run(bring_up)
    lines = scene.printed.splitlines()
    said = [line for line in lines if line.startswith("one      │ ")]
    assert "".join(line.removeprefix("one      │ ") for line in said) == "x" * 200_000 + "ä"
    assert "\x1b" not in scene.printed


async def test_it_stops_when_nobody_reads_its_output(scene, lives):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    scene.output._stream = Closed()

    async def bring_up():
        await scene.supervisor.start_parts(scene.program("one", STAY))
        scene.output.say("anyone?")
        await asyncio.Event().wait()

    await scene.run(bring_up)
    assert not lives(scene.pid("one"))
