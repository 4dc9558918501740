"""The application's processes on top of the local stack: API, worker, relay and beat."""

import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from devstack import PYTHON, Program, StackLayout, Terminal, http_answers

# The stack's servers have no passwords: omit the settings of other servers.
_FOREIGN: Final = ("REDIS_", "BROKER_", "SMTP_")
# Four processes import everything in parallel, which takes long on a busy machine.
_START_LIMIT: Final = 60.0
_ROLES: Final = ("api", "worker", "relay", "beat")
# Lines of every start and end: the stack itself prints one line for all.
_NOISE: Final = (
    "Started server process",
    "Waiting for application startup",
    "Application startup complete",
    "Uvicorn running on",
    "Shutting down",
    "Waiting for application shutdown",
    "Application shutdown complete",
    "Finished server process",
    "No more jobs are taken",
    "Metrics are served",
)


def applications(layout: StackLayout, terminal: Terminal) -> list[Program]:
    """Return the processes as programs; each start reads `.env` again.

    Their log lines are for people, unless LOG_FORMAT says otherwise.
    """
    environment = partial(_environment, layout, terminal)
    api = Program(
        name="api",
        argv=(*PYTHON, "cli", "api", "--port", str(layout.ports.api)),
        ready=partial(http_answers, f"{layout.api_url}/"),
        folder=layout.root,
        environment=lambda: {**environment(), **_metrics(layout, "api")},
        noise=_NOISE,
        start_limit=_START_LIMIT,
    )
    return [api, *(_background(layout, name, environment) for name in _ROLES[1:])]


def _background(layout: StackLayout, name: str, shared: Callable[[], Mapping[str, str]]) -> Program:
    # It is ready when it touches its file, which is deleted before each start.
    file = layout.data / f"{name}.alive"

    def environment() -> dict[str, str]:
        file.unlink(missing_ok=True)
        # A restart after a change must be quick.
        own = {"WORKER_GRACE_SECONDS": "5", "HEARTBEAT_FILE": str(file)}
        return {**shared(), **own, **_metrics(layout, name)}

    return Program(
        name=name,
        argv=(*PYTHON, "cli", name),
        ready=file.exists,
        folder=layout.root,
        environment=environment,
        noise=_NOISE,
        start_limit=_START_LIMIT,
    )


def _metrics(layout: StackLayout, name: str) -> dict[str, str]:
    """Return where the process serves its metrics: on one of the four ports after the API's.

    Where another program has that port, on any free one, so that it can still start.
    """
    port = layout.ports.api + 1 + _ROLES.index(name)
    return {"METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(port if _is_free(port) else 0)}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _environment(layout: StackLayout, terminal: Terminal) -> dict[str, str]:
    # `.env` is already read: the processes must not read it again.
    passed = {k: v for k, v in layout.settings().items() if not k.startswith(_FOREIGN)}
    output = {
        "APP_ENV": passed.get("APP_ENV") or "development",
        "LOG_FORMAT": passed.get("LOG_FORMAT") or "console",
        # They write into a pipe; whether that ends at a terminal only the stack knows.
        "FORCE_COLOR" if terminal.coloured else "NO_COLOR": "1",
    }
    # A PYTHONBREAKPOINT of the developer's own wins.
    passed = terminal.environment() | passed
    return {**passed, **layout.values(), **output, "ENV_FILE": os.devnull}
