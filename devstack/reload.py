"""Notifies applications of changes of their code."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from watchfiles import Change, awatch

_DEBOUNCE_MS = 400
_SUFFIXES = (".py", ".sql")


async def changes_of_sql(folder: Path) -> AsyncIterator[None]:
    """Yield after each change of the SQL files in a folder, until cancelled.

    Raises OSError if the system watches no more files.
    """

    def wanted(_: Change, path: str) -> bool:
        return path.endswith(".sql")

    async for _ in awatch(folder, watch_filter=wanted, recursive=False, debounce=_DEBOUNCE_MS):
        yield


class Changes:
    """Changes of a checkout's code and `.env`: their number, and the latest one.

    `.env` is in `root`; the code is below `folders`.
    """

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self._root, self._folders = root, tuple(folders)
        self._changed = asyncio.Event()
        self.count = 0
        self.latest = ""

    async def beyond(self, seen: int) -> int:
        """Return the number of changes as soon as it exceeds the caller's."""
        while self.count == seen:
            await self._changed.wait()
        return self.count

    async def watch(self) -> None:
        """Watch until cancelled. Raises OSError if the system watches no more files."""
        folders = [folder for folder in self._folders if folder.is_dir()]
        # `.env` may not exist yet, and editors replace it: watch its folder, not the file.
        async with asyncio.TaskGroup() as group:
            if folders:
                group.create_task(self._watch(folders, recursive=True))
            group.create_task(self._watch([self._root], recursive=False))

    async def _watch(self, paths: Iterable[Path], *, recursive: bool) -> None:
        def wanted(change: Change, path: str) -> bool:
            if recursive:
                # A copied folder may come without events for its files.
                folder = (
                    change is Change.added and "__pycache__" not in path and Path(path).is_dir()
                )
                return folder or path.endswith(_SUFFIXES)
            return path == f"{self._root}/.env"

        async for changes in awatch(
            *paths, watch_filter=wanted, recursive=recursive, debounce=_DEBOUNCE_MS
        ):
            self.latest = min(path for _, path in changes).removeprefix(f"{self._root}/")
            self.count += 1
            self._changed.set()
            self._changed.clear()
