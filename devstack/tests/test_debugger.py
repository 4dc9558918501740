"""`breakpoint()` in a program of the stack, at a real terminal (a pty)."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A small stack: `./app up` without its servers. It takes the terminal as its session's own.
STACK = """
    import asyncio, fcntl, os, pathlib, subprocess, sys, termios
    from devstack.debugger import Terminal
    from devstack.output import Output
    from devstack.programs import Program
    from devstack.reaper import Reaper
    from devstack.reload import Changes
    from devstack.supervisor import Supervisor

    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if "BEHIND" in os.environ:  # another process group has the terminal, as a shell would
        shell = subprocess.Popen(["sleep", "60"], process_group=0)
        os.tcsetpgrp(0, shell.pid)

    async def main():
        output, reaper = Output(), Reaper()
        supervisor = Supervisor(output, reaper)
        terminal = Terminal.listen(output, reaper)
        environment = os.environ | terminal.environment()

        async def bring_up():
            supervisor.keep(terminal.serve())
            programs = [
                Program(name=path.stem, argv=(sys.executable, "-u", str(path)),
                        ready=lambda: True, environment=lambda: environment)
                for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py"))
            ]
            folder = pathlib.Path(sys.argv[1])
            await supervisor.start_applications(programs, Changes(folder, [folder]))

        await supervisor.run(bring_up)
        reaper.finish()
        if "BEHIND" in os.environ:
            shell.kill()
        print("all has ended")

    asyncio.run(main())
"""
STAY = "import time\nwhile True: time.sleep(60)\n"


class Scene:
    """A stack at a terminal: its output, and the keys that a test presses."""

    def __init__(self, folder, until, *, terminal, behind):
        self.folder, self.until, self.shown = folder, until, ""
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        os.set_blocking(self.master, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(STACK), str(folder)],
            stdin=self.slave if terminal else subprocess.DEVNULL,
            stdout=self.slave,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
                "TMPDIR": str(folder),
                "TERM": "dumb",
                **({"BEHIND": "1"} if behind else {}),
            },
        )

    def shows(self, words):
        """Wait until the terminal shows these words, after those of earlier calls."""

        def found():
            try:
                self.shown += os.read(self.master, 65536).decode().replace("\r\n", "\n")
            except BlockingIOError:
                assert self.process.poll() is None, f"the stack has ended: {self.shown}"
                return False
            return words in self.shown

        if words not in self.shown:
            self.until(found)
        before, _, self.shown = self.shown.partition(words)
        return before

    def press(self, keys):
        os.write(self.master, keys.encode())

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def at_a_terminal(tmp_path, until):
    """Starts a stack of programs, given by their code."""
    scenes = []

    def start(*, terminal=True, behind=False, **programs):
        for name, code in programs.items():
            (tmp_path / f"{name}.py").write_text(code)
        scenes.append(Scene(tmp_path, until, terminal=terminal, behind=behind))
        return scenes[-1]

    yield start
    for scene in scenes:
        scene.close()


def test_breakpoint_asks_at_the_terminal_and_goes_on(at_a_terminal):
    scene = at_a_terminal(api=f"print('before')\nx = 41\nbreakpoint()\nprint('x is', x)\n{STAY}")
    assert "api      │ before" in scene.shows("(Pdb) ")
    scene.press("p x + 1\n")
    assert "42" in scene.shows("(Pdb) ")
    scene.press("x = 7\n")
    scene.shows("(Pdb) ")
    scene.press("c\n")
    scene.shows("api      │ x is 7")


def test_steps_go_line_by_line(at_a_terminal):
    scene = at_a_terminal(api=f"breakpoint()\na = 1\nb = 2\nprint('c')\n{STAY}")
    scene.shows("(Pdb) ")
    for _ in range(4):
        scene.press("n\n")
        shown = scene.shows("(Pdb) ")
        if "-> print('c')" in shown:
            break
    scene.press("p a + b\n")
    assert "3" in scene.shows("(Pdb) ")
    scene.press("c\n")
    scene.shows("api      │ c")


def test_what_others_print_waits_until_the_prompt_is_left(at_a_terminal):
    chatter = "import time\nwhile True: print('chatter'); time.sleep(0.01)\n"
    scene = at_a_terminal(api=f"breakpoint()\n{STAY}", worker=chatter)
    scene.shows("(Pdb) ")
    scene.press("import time; time.sleep(0.3); print('slept')\n")
    assert "chatter" not in scene.shows("\nslept\n")
    scene.press("c\n")
    scene.shows("worker   │ chatter")


def test_two_that_stop_have_the_terminal_one_after_the_other(at_a_terminal):
    code = "breakpoint()\nprint('went on')\n" + STAY
    scene = at_a_terminal(api=code, worker=code)
    scene.shows("(Pdb) ")
    scene.press("c\n")
    between = scene.shows("(Pdb) ")
    scene.press("c\n")
    for _ in range(2 - between.count("went on")):
        scene.shows("went on")


def test_ctrl_c_at_the_prompt_ends_all_and_gives_the_terminal_back(at_a_terminal):
    scene = at_a_terminal(api=f"breakpoint()\n{STAY}", worker=STAY)
    scene.shows("(Pdb) ")
    scene.press("\x03")
    scene.shows("stopping …")
    scene.shows("all has ended")
    assert scene.process.wait(20) == 0
    assert termios.tcgetattr(scene.slave) == scene.before
    assert not list(scene.folder.glob("devstack-*"))


def test_a_program_that_is_killed_at_the_prompt_gives_the_terminal_back(at_a_terminal):
    code = "import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    code += f"breakpoint()\n{STAY}"
    scene = at_a_terminal(api=code)
    scene.shows("(Pdb) ")
    os.kill(int((scene.folder / "pid").read_text()), signal.SIGTERM)
    scene.shows("\napi ended (SIGTERM)")
    assert termios.tcgetattr(scene.slave) == scene.before


def test_without_a_terminal_it_is_skipped_and_said(at_a_terminal):
    scene = at_a_terminal(terminal=False, api=f"breakpoint()\nprint('went on')\n{STAY}")
    said = scene.shows("went on")
    assert "api.py, line 1 was skipped: ./app up needs a terminal for it." in said


def test_a_background_job_takes_no_terminal_from_the_shell(at_a_terminal):
    scene = at_a_terminal(behind=True, api=f"breakpoint()\nprint('went on')\n{STAY}")
    said = scene.shows("went on")  # pdb of 3.11 and 3.12 stops at the next line
    assert re.search(r"api\.py, line [12] was skipped: \./app up needs a terminal", said)
