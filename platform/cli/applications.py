"""The application's processes on top of the local stack: API, worker, relay and beat."""

import os
from functools import partial
from typing import Final

from devstack import PYTHON, Parts, Program, http_answers

# The stack's servers have no passwords: what the settings say of others is left out.
_FOREIGN: Final = ("REDIS_", "BROKER_", "SMTP_")


def applications(parts: Parts) -> list[Program]:
    """Return the processes as programs; each start reads `.env` anew."""
    api = Program(
        name="api",
        argv=(*PYTHON, "cli", "api", "--port", str(parts.ports.api)),
        ready=partial(http_answers, f"{parts.api_url}/api/v1/health/readiness"),
        folder=parts.root,
        environment=partial(_environment, parts),
    )
    return [api, *(_background(parts, name) for name in ("worker", "relay", "beat"))]


def _background(parts: Parts, name: str) -> Program:
    # It is ready when it touches its file, which is gone before each start.
    file = parts.data / f"{name}.alive"

    def environment() -> dict[str, str]:
        file.unlink(missing_ok=True)
        # A restart after a change is not to take long.
        own = {"WORKER_GRACE_SECONDS": "5", "HEARTBEAT_FILE": str(file)}
        return {**_environment(parts), **own}

    return Program(
        name=name,
        argv=(*PYTHON, "cli", name),
        ready=file.exists,
        folder=parts.root,
        environment=environment,
    )


def _environment(parts: Parts) -> dict[str, str]:
    # `.env` has been read already: the processes are not to read it once more.
    passed = {k: v for k, v in parts.settings().items() if not k.startswith(_FOREIGN)}
    return {**passed, **parts.values(), "ENV_FILE": os.devnull}
