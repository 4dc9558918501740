"""What the tests of the local stack share: their own servers, so that they run alone.

Tests use `summary` to show lines at the end of the run, also from xdist's workers.
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
    """Send a worker's lines to the main process."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["summary"] = session.config.stash[_LINES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Receive a worker's lines."""
    node.config.stash[_LINES].extend(getattr(node, "workeroutput", {}).get("summary", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the lines."""
    if lines := terminalreporter.config.stash[_LINES]:
        terminalreporter.section("summary of the contracts")
        for line in sorted(lines):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The maintenance database of a PostgreSQL, as superuser: for tests that create databases."""
    with Servers() as servers:
        yield servers.postgres_url


@pytest.fixture
def until():
    """Waits until a condition is true, and returns its value; fails after a while."""

    def wait(condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "the condition did not become true in time"
            time.sleep(0.02)
        return value

    return wait


@pytest.fixture
def lives():
    """Returns whether a process runs; a zombie does not count."""

    def check(pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        with os.popen(f"ps -o stat= -p {pid}") as answer:
            return answer.read().strip()[:1] not in {"", "Z"}

    return check
