"""Runs the load generator in a separate process."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bench.errors import BenchError
from bench.load import Outcome, Plan
from devstack import PYTHON

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LIMIT_SECONDS: Final = 3600


def drive(plan: Plan, environment: Mapping[str, str]) -> Outcome:
    """Run the load on the processors of this thread, and return its outcome.

    Raises BenchError with the load's own message if it fails.
    """
    return Outcome(**run_program("bench.load", plan, environment))


def run_program(
    module: str, plan: "DataclassInstance", environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run a program that takes a plan and prints an outcome, both JSON; return the outcome.

    Raises BenchError with the program's own message if it fails.
    """
    program = subprocess.Popen(  # noqa: S603 - our own program
        [*PYTHON, module],
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
    outcome: dict[str, Any] = json.loads(printed)
    return outcome
