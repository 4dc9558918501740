"""Files, requested at PostgREST and uploaded to Storage as their owner."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from kit.people import Person

CONTENT = b"Notes on the Analytical Engine.\n"
STATES = "update public.files set state = $2, reason = $3 where id = $1"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file as it is stored."""

    id: UUID
    name: str
    owner: Person

    @property
    def url(self) -> str:
        """Its path in the API."""
        return f"/files/{self.id}"


NewFile = Callable[..., Awaitable[StoredFile]]
Upload = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def upload(supabase: httpx.AsyncClient) -> Upload:
    """Uploads content to Storage as a person: `await upload(file, b"…", by=stranger)`."""

    async def send(
        file: StoredFile, content: bytes = CONTENT, kind: str = "text/plain", by: Any = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {(by or file.owner).token}", "content-type": kind}
        url = f"/storage/v1/object/files/{file.id}"
        return await supabase.post(url, content=content, headers=headers)

    return send


@pytest.fixture
def new_file(
    supabase: httpx.AsyncClient,
    database: asyncpg.Connection,
    upload: Upload,
    drop_reads: Callable[[], None],
) -> NewFile:
    """Makes files: `await new_file(author, b"content", state="ready", name="a.txt")`.

    A pending one is not uploaded; other states are set without a check.
    """

    async def make(
        by: Person, content: bytes = CONTENT, state: str = "pending", **fields: Any
    ) -> StoredFile:
        body = {"name": "notes.txt", "content_type": "text/plain", "size": len(content)} | fields
        headers = {"Authorization": f"Bearer {by.token}", "Prefer": "return=representation"}
        answer = await supabase.post("/rest/v1/files", json=body, headers=headers)
        row = answer.raise_for_status().json()[0]
        file = StoredFile(id=UUID(row["id"]), name=row["name"], owner=by)
        if state != "pending":
            (await upload(file, content)).raise_for_status()
            reason = "malware" if state == "rejected" else None
            await database.execute(STATES, file.id, state, reason)
        drop_reads()
        return file

    return make


@pytest.fixture
def object_exists(database: asyncpg.Connection) -> Callable[[object], Awaitable[bool]]:
    """Returns whether Storage has the object of a file: `await object_exists(file.id)`."""

    async def exists(file_id: object) -> bool:
        found: bool = await database.fetchval(
            "select exists (select from storage.objects where bucket_id = 'files' and name = $1)",
            str(file_id),
        )
        return found

    return exists


@pytest.fixture
def read_file(database: asyncpg.Connection) -> Callable[[object], Awaitable[Any]]:
    """Reads the row of a file, past all APIs: `await read_file(file.id)`; None if there is none."""

    async def read(file_id: object) -> Any:
        return await database.fetchrow(
            "select * from public.files where id = $1", UUID(str(file_id))
        )

    return read
