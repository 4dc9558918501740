"""The tour of README.md, pasted block by block into a shell beside a running `./app up`.

A `text` block below commands is their output, in which `…` stands for anything in its line.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kernel.boot.discovery import discover
from kernel.edge.routes import RouteTable, routes_of
from kernel.web.routing import PREFIX

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "tests")
OTHERS = ("APP_ENV", "SUPABASE_", "DATABASE_URL", "REDIS_", "BROKER_", "SMTP_", "DEVSTACK_")
BLOCKS = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DONE = "the-block-is-done"
PATIENCE = 120.0


@dataclass(frozen=True)
class Step:
    """Commands that a reader pastes, and the output that the README promises."""

    commands: str
    answer: str = ""

    def fits(self, said):
        """Return whether a shell's output matches."""
        lines = (
            ".*".join(map(re.escape, line.split("…"))) for line in self.answer.rstrip().split("\n")
        )
        return re.fullmatch("\n".join(lines), said.replace("\r\n", "\n").rstrip()) is not None


def steps_of(text):
    _, _, rest = text.partition("\n## A tour\n")
    found = []
    for kind, block in BLOCKS.findall(rest.partition("\n## ")[0]):
        if kind == "sh":
            found.append(Step(block))
        else:
            found[-1] = replace(found[-1], answer=block)
    return found


def calls_that_are_gone(steps):
    """Return the paths in the tour that no slice serves."""
    table = RouteTable(routes_of(discover()))
    called = {path for step in steps for path in re.findall(r"\$API(/[^\s?\"']+)", step.commands)}
    return sorted(path for path in called if not table.methods(PREFIX + path))


TOUR = steps_of((ROOT / "README.md").read_text(encoding="utf-8"))
SETTINGS = Step('curl -sS -w "\\n" "$API/settings"\n', '{"success":true,…}\n')
GONE = calls_that_are_gone([*TOUR, SETTINGS])

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(GONE),
        reason=f"README.md's tour calls {', '.join(GONE)} of a removed slice: rewrite the tour",
    ),
]


def test_the_calls_of_the_tour_are_found():
    assert len({path for step in TOUR for path in re.findall(r"\$API(/\w+)", step.commands)}) >= 3
    assert calls_that_are_gone([Step('curl "$API/nowhere/at/all?x=1"')]) == ["/nowhere/at/all"]


class Shell:
    """A shell in a checkout; its output includes errors, as a reader sees them."""

    def __init__(self, program, folder, environment):
        self.process = subprocess.Popen(
            [program],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def paste(self, commands):
        """Return the output of the commands, and the exit code of the last one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{commands}\necho {DONE} $?\n")
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            before, mark, code = line.partition(DONE)
            said += before
            if mark:
                return said, int(code)
        raise AssertionError(f"the shell ended: {said}")

    def close(self):
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Checkout:
    """A copy of the checkout with a running stack, and shells in it."""

    def __init__(self, root, port):
        self.root, self.log = root, root / "output.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
        path = os.pathsep.join(map(str, (root / "platform", root)))
        self.environment = kept | {"PYTHONPATH": path, "NO_PROXY": "*", "HOME": str(root)}
        # The reader's command, without the installation: the environment exists already.
        command = shlex.join([sys.executable, "-m", "cli"])
        (root / "app").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["./app", "up", "--port", str(port)],
                cwd=root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self):
        deadline = time.monotonic() + PATIENCE
        while not re.search("^ready http", said := self.log.read_text(), re.MULTILINE):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    @contextmanager
    def shell(self, name):
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"{name} is not installed")
        shell = Shell(program, self.root, self.environment)
        try:
            yield shell
        finally:
            shell.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def checkout(unused_tcp_port_factory):
    # Not tmp_path: under root, PostgreSQL runs as another user, who cannot enter it.
    root = Path(tempfile.mkdtemp(prefix="tour-")).resolve()
    root.chmod(0o755)
    shutil.copytree(ROOT, root, ignore=LEFT_OUT, dirs_exist_ok=True)
    running = Checkout(root, unused_tcp_port_factory())
    try:
        running.wait()
        yield running
    finally:
        running.stop()
        shutil.rmtree(root)


def walk(shell, steps):
    """Paste the steps one after the other; fail at the first that differs from the README."""
    for step in steps:
        # A mail takes a second or so to arrive: an early reader repeats the command.
        deadline = time.monotonic() + (PATIENCE if "INBOX_URL" in step.commands else 0)
        while True:
            said, code = shell.paste(step.commands)
            if code == 0 and step.fits(said):
                break
            assert time.monotonic() < deadline, f"{step.commands}\n{said}\nexit code {code}"
            time.sleep(0.1)


def test_the_tour_goes_as_the_readme_says(checkout):
    assert len(TOUR) >= 9
    assert all(step.answer for step in TOUR[1:])
    with checkout.shell("bash") as shell:
        walk(shell, TOUR)


@pytest.mark.parametrize("name", ["dash", "zsh"])
def test_the_tour_can_be_pasted_into_other_shells(checkout, name):
    # With another person, and without posts: the first tour has already written some.
    steps = [
        Step(step.commands.replace("ada@", f"{name}@"), step.answer.replace("ada@", f"{name}@"))
        for step in TOUR
        if "/posts" not in step.commands
    ]
    with checkout.shell(name) as shell:
        walk(shell, steps)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("/settings", "/setings"),  # an unknown path
        ('"success":true', '"success":false'),  # another output
        ("curl", "crul"),  # an unknown command
        ("$API", "$APY"),  # an unset variable
    ],
)
def test_a_tour_that_is_wrong_is_noticed(checkout, right, wrong):
    step = SETTINGS
    broken = Step(step.commands.replace(right, wrong), step.answer.replace(right, wrong))
    assert broken != step
    with checkout.shell("bash") as shell:
        walk(shell, [TOUR[0], step])
        with pytest.raises(AssertionError, match="exit code"):
            walk(shell, [broken])
