"""What the tests of the local stack share: servers of their own, so that they run without others.

Tests with `summary` have lines shown at the end of the run, also from xdist's workers.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devstack.testing import Servers

_LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no lines."""
    config.stash[_LINES] = []


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line: `summary("140 of 140 replayed")`."""
    return request.config.stash[_LINES].append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's lines over to where the run began."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["summary"] = session.config.stash[_LINES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's lines."""
    node.config.stash[_LINES].extend(getattr(node, "workeroutput", {}).get("summary", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the lines."""
    if lines := terminalreporter.config.stash[_LINES]:
        terminalreporter.section("summary of the contracts")
        for line in sorted(lines):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL's maintenance database, as superuser: for tests with databases of their own."""
    with Servers() as servers:
        yield servers.postgres_url


@pytest.fixture
def until():
    """Waits for a condition and returns its value; fails after a while."""

    def wait(condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "this did not come true in time"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def lives():
    """Tells whether a process is there, and more than a zombie that its parent forgot."""

    def check(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        with os.popen(f"ps -o stat= -p {pid}") as answer:
            return answer.read().strip()[:1] not in {"", "Z"}

    return check
