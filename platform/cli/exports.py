"""`./app export USER_ID`: an archive of a user's data, for operators."""

import asyncio
import base64
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final
from uuid import UUID, uuid4

import typer

from cli.operators import no_answer, settings_or_stack

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.config.settings import Settings
    from kernel.supabase import AsService

_ASK_AGAIN_SECONDS: Final = 1.0


class ExportError(Exception):
    """There is no archive; the message is for people and says what to do."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(export)


def export(
    user_id: Annotated[UUID, typer.Argument(help="The id of the user.")],
    *,
    output: Annotated[
        Path | None, typer.Option(help="The file to write; export-USER_ID.zip by default.")
    ] = None,
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the job: a relay and a worker must run.")
    ] = 660,
) -> None:
    """Export all data of a user into a zip archive.

    For a user who asked by mail, for example.
    """
    from postgrest import APIError

    from kernel.errors import ApiError

    settings = settings_or_stack()
    file = output or Path(f"export-{user_id}.zip")
    if file.exists():
        problem = f"{file} exists: remove it, or name another file by --output."
    else:
        try:
            size = asyncio.run(_export(settings, user_id, file, wait))
        except ExportError as error:
            problem = str(error)
        except (APIError, ApiError) as error:
            problem = no_answer(settings, error.code)
        else:
            typer.echo(f"{file} has all data of {user_id}: {size:,} bytes. Keep it private.")
            return
    typer.echo(problem, err=True)
    raise typer.Exit(1)


async def _export(settings: "Settings", user_id: UUID, file: Path, wait: float) -> int:
    from kernel.supabase import AsService, SupabaseHttp

    async with SupabaseHttp(settings) as http:
        db = AsService(http)
        if await db.user(user_id) is None:
            raise ExportError(f"There is no user {user_id}.")
        export_id = await db.rpc("request_export", export_id=str(uuid4()), of_user=str(user_id))
        if export_id is None:
            raise ExportError("This user had three exports in the last day: try again tomorrow.")
        found = await _ready(db, export_id, wait)
        await _download(db, export_id, found["chunks"], file)
        return int(found["bytes"])


async def _ready(db: "AsService", export_id: str, wait: float) -> dict[str, Any]:
    """Wait until the job has ended, and say each new state."""
    until, shown = time.monotonic() + wait, None
    while True:
        found: dict[str, Any] | None = await db.rpc("export_of_user", export_id=export_id)
        if found is None:
            raise ExportError("The export was replaced by a newer one, or its user was deleted.")
        if found["state"] == "failed":
            raise ExportError("The job failed: see the worker's log, and EXPORT_MAX_MEGABYTES.")
        if found["state"] == "ready":
            return found
        if time.monotonic() > until:
            raise ExportError(
                f"The export is {found['state']} after {wait:g} s: do a relay and a worker run?"
            )
        if found["state"] != shown:
            typer.echo(f"The export is {found['state']}.", err=True)
        shown = found["state"]
        await asyncio.sleep(_ASK_AGAIN_SECONDS)


async def _download(db: "AsService", export_id: str, chunks: int, file: Path) -> None:
    with _whole(file) as archive:
        for number in range(chunks):
            content = await db.rpc("export_chunk", export_id=export_id, number=number)
            archive.write(base64.b64decode(content))


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """Open a new file that only its owner may read; remove it unless it is written whole."""
    file.touch(mode=0o600, exist_ok=False)
    try:
        with file.open("wb") as opened:
            yield opened
    except BaseException:
        file.unlink()
        raise
