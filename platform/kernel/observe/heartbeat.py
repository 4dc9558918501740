"""A file that a working process touches, for liveness probes without HTTP."""

import time
from pathlib import Path
from typing import Final

EVERY_SECONDS: Final = 5.0


class Heartbeat:
    """Touches a file, if one is configured, at most every 5 s."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._next = file, 0.0

    def beat(self) -> None:
        """Report that the process works."""
        if self._file is not None and time.monotonic() >= self._next:
            self._file.touch()
            self._next = time.monotonic() + EVERY_SECONDS
