"""Runs the load generator in a separate process."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from bench.errors import BenchError
from bench.load import Outcome, Plan
from devstack import PYTHON

_LIMIT_SECONDS: Final = 3600


def drive(plan: Plan, environment: Mapping[str, str]) -> Outcome:
    """Run the load on the processors of this thread, and return its outcome.

    Raises BenchError with the load's own message if it fails.
    """
    program = subprocess.Popen(  # noqa: S603 - our own program
        [*PYTHON, "bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=dict(environment),
    )
    try:
        # Not an argument: every user of the machine can read arguments, and the plan contains a
        # token.
        printed, said = program.communicate(json.dumps(asdict(plan)), timeout=_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise BenchError(f"The load did not end within {_LIMIT_SECONDS} s.") from None
    finally:
        if program.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    if program.returncode:
        raise BenchError(said.strip() or "The load was killed.")
    return Outcome(**json.loads(printed))
