"""A file that is touched while a process works: what a liveness probe without HTTP looks at."""

import time
from pathlib import Path
from typing import Final

EVERY_SECONDS: Final = 5.0


class Heartbeat:
    """Touches a file, if there is one, at most every 5 s however often it is asked to."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._next = file, 0.0

    def beat(self) -> None:
        """Say that the process works."""
        if self._file is not None and time.monotonic() >= self._next:
            self._file.touch()
            self._next = time.monotonic() + EVERY_SECONDS
