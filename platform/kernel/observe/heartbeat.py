"""Says that a process works: in a metric, and in a file for liveness probes without HTTP."""

import time
from pathlib import Path
from typing import Final

from kernel.core.metrics import HEARTBEAT

EVERY_SECONDS: Final = 5.0


class Heartbeat:
    """Sets the metric, and touches a file if one is configured, at most every 5 s."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._next = file, 0.0

    def beat(self) -> None:
        """Report that the process works."""
        if time.monotonic() >= self._next:
            HEARTBEAT.set_to_current_time()
            if self._file is not None:
                self._file.touch()
            self._next = time.monotonic() + EVERY_SECONDS
