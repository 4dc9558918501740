"""The bytes of files, on disk by version: an id of the server, so that no name is ever a path."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from devstack.gateway.storage.errors import too_large


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Facts of bytes on disk: size in bytes, a quoted MD5, and when they were written."""

    size: int
    etag: str
    modified: datetime

    def metadata(self, mime: str, cache_control: str) -> dict[str, Any]:
        """Return the column `metadata` of the object, as the real server fills it."""
        return {
            "eTag": self.etag,
            "size": self.size,
            "mimetype": mime,
            "cacheControl": cache_control,
            "lastModified": self.modified.isoformat(timespec="milliseconds"),
            "contentLength": self.size,
            "httpStatusCode": 200,
        }


class Disk:
    """A folder with the bytes of all objects, and of uploads that are under way.

    Bytes are written aside, synchronized and renamed: a version is on disk whole or not at all.
    Without a folder it makes a temporary one, and removes that at its end.
    """

    def __init__(self, folder: str | None) -> None:
        self._given = folder

    async def open(self) -> None:
        """Create the folders, for their user alone; remove what a crash left half written."""
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Remove a temporary folder."""
        if self._given is None:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def _open(self) -> None:
        self.folder = Path(self._given or tempfile.mkdtemp(prefix="devstack-storage-"))
        self._objects, self._incoming = self.folder / "objects", self.folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self.folder, self._objects, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, version: str) -> Path:
        """Return where the bytes of a version are; raises ValueError unless it is a UUID."""
        return self._objects / str(UUID(version))

    async def write(self, version: str, chunks: AsyncIterator[bytes], limit: int) -> Stored:
        """Store a stream of at most `limit` bytes; a refused or broken one leaves nothing.

        Raises StorageError (413) as soon as there are more.
        """
        path = self._incoming / str(UUID(version))
        size = 0
        try:
            file = await asyncio.to_thread(path.open, "xb")
            try:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise too_large()
                    await asyncio.to_thread(file.write, chunk)
            finally:
                await asyncio.to_thread(file.close)
            return await self.keep(path, version)
        finally:
            path.unlink(missing_ok=True)

    async def keep(self, path: Path, version: str) -> Stored:
        """Make a complete file the bytes of a version; they survive a crash from then on."""
        return await asyncio.to_thread(_keep, path, self.path(version))

    async def copy(self, version: str, new: str) -> None:
        """Give a version's bytes to a second one; raises FileNotFoundError if it has none."""
        await asyncio.to_thread(os.link, self.path(version), self.path(new))

    async def remove(self, versions: Iterable[str | None]) -> None:
        """Remove the bytes of versions, if there are any."""
        for version in versions:
            if version:
                await asyncio.to_thread(self.path(version).unlink, missing_ok=True)


def _keep(path: Path, target: Path) -> Stored:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        facts = os.fstat(file.fileno())
    path.rename(target)
    sync_folder(target.parent)
    modified = datetime.fromtimestamp(facts.st_mtime, UTC)
    return Stored(size=facts.st_size, etag=f'"{digest.hexdigest()}"', modified=modified)


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
