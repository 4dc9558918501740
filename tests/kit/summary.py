"""Lines that tests show at the end of the run, also from xdist's workers."""

from collections.abc import Callable
from typing import Any

import pytest

_LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no lines."""
    config.stash[_LINES] = []


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line: `summary("K1: one load for 200 readers")`."""
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
        terminalreporter.section("what tests measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)
