"""Uploads that are under way: what arrived so far, on disk, so that they outlive a crash."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from devstack.gateway.storage.disk import Disk, sync_folder
from devstack.gateway.storage.errors import StorageError


def tus_error(status: int, message: str) -> StorageError:
    """Return a refusal of the protocol: its status is that of the response, its body the text."""
    return StorageError(status, "TusError", message, http=status)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """An upload under way: the object that it becomes, whose that is, and its size in bytes.

    `header` is the client's Upload-Metadata. `finished` says that the object exists.
    """

    version: str
    bucket: str
    name: str
    owner: str | None
    size: int
    header: str
    mime: str
    cache_control: str
    user_metadata: dict[str, Any] | None
    expires: datetime
    finished: bool = False


class Turn:
    """The time in which one request may change an upload; `end` asks it to stop."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self._ended = False
        self._waiting: asyncio.Timeout | None = None

    def end(self) -> None:
        """Stop reading: what arrived stays, and the rest is refused."""
        self._ended = True
        if self._waiting is not None:
            self._waiting.reschedule(0)

    async def chunks(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Return the stream; raises StorageError (400) when the turn ends before it."""
        while not self._ended:
            try:
                # Only the wait for the client can be cut off, never a write.
                async with asyncio.timeout(None) as self._waiting:
                    chunk = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                break
            finally:
                self._waiting = None
            yield chunk
        raise tus_error(400, "Request aborted: another request continues this upload")


class Resumables:
    """The folder of the uploads; one request at a time changes one of them."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._turns: dict[str, Turn] = {}

    async def open(self) -> None:
        """Create the folder, and remove what nobody can continue."""
        self._folder = self._disk.folder / "resumable"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        await asyncio.to_thread(self._sweep)
        for path in self._folder.iterdir():
            if not path.with_suffix(".json").exists():  # a crash at the beginning or the end
                path.unlink()

    async def create(self, upload: Upload) -> None:
        """Begin an upload, and remove those that expired."""
        await asyncio.to_thread(self._sweep)
        await asyncio.to_thread(self._bytes(upload.version).touch)
        await self._write(upload)

    async def find(self, version: str) -> Upload:
        """Return an upload; raises StorageError: 404 if it is unknown, 410 if it expired."""
        try:
            raw = await asyncio.to_thread(self._facts(version).read_bytes)
        except (FileNotFoundError, ValueError):
            raise tus_error(404, "The file for this url was not found") from None
        upload = _parse(raw)
        if upload.expires <= datetime.now(UTC):
            raise tus_error(410, "The file for this url no longer exists")
        return upload

    async def offset(self, upload: Upload) -> int:
        """Return how many bytes arrived."""
        try:
            facts = await asyncio.to_thread(self._bytes(upload.version).stat)
        except FileNotFoundError:  # complete: they are an object's bytes now
            return upload.size
        return facts.st_size

    @asynccontextmanager
    async def turn(self, version: str) -> AsyncIterator[tuple[Turn, Upload]]:
        """Wait for the turn to change an upload, and return what it is by then.

        A request that has the turn must stop reading: its client is gone, or it would not have
        sent a second one. Raises StorageError as `find` does.
        """
        while (older := self._turns.get(version)) is not None:
            older.end()
            await older.over.wait()
        turn = self._turns[version] = Turn()
        try:
            yield turn, await self.find(version)
        finally:
            del self._turns[version]
            turn.over.set()

    async def append(self, upload: Upload, offset: int, chunks: AsyncIterator[bytes]) -> int:
        """Add what arrives, as far as it arrives; return how many bytes there are then.

        Raises StorageError (413) for a byte more than the upload's size, and does not keep that.
        """
        file = await asyncio.to_thread(self._bytes(upload.version).open, "r+b")  # never a new one
        try:
            await asyncio.to_thread(file.seek, offset)
            async for chunk in chunks:
                if offset + len(chunk) > upload.size:
                    raise tus_error(413, "upload's size exceeded")
                await asyncio.to_thread(file.write, chunk)
                offset += len(chunk)
        finally:
            await asyncio.to_thread(_close, file)
        return offset

    def bytes_of(self, upload: Upload) -> Path:
        """Return where all bytes of a complete upload are: here, or with the objects already."""
        here = self._bytes(upload.version)
        return here if here.exists() else self._disk.path(upload.version)

    async def finish(self, upload: Upload) -> None:
        """Note that the object exists."""
        await self._write(replace(upload, finished=True))

    async def remove(self, version: str) -> None:
        """Forget an upload and its bytes."""
        await asyncio.to_thread(self._remove, version)

    def _bytes(self, version: str) -> Path:
        return self._folder / str(UUID(version))

    def _facts(self, version: str) -> Path:
        return self._folder / f"{UUID(version)}.json"

    async def _write(self, upload: Upload) -> None:
        path, content = self._facts(upload.version), orjson.dumps(asdict(upload))
        await asyncio.to_thread(_replace, path, content)

    def _remove(self, version: str) -> None:
        # In this order: without its facts, the bytes are waste that the next start removes.
        self._facts(version).unlink(missing_ok=True)
        self._bytes(version).unlink(missing_ok=True)

    def _sweep(self) -> None:
        for path in self._folder.glob("*.json"):
            expired = _parse(path.read_bytes()).expires <= datetime.now(UTC)
            if expired and path.stem not in self._turns:
                self._remove(path.stem)


def _parse(raw: bytes) -> Upload:
    fields = orjson.loads(raw)
    return Upload(**{**fields, "expires": datetime.fromisoformat(fields["expires"])})


def _close(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()


def _replace(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)
