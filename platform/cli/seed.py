"""`./app seed`: users and example rows, for development."""

import asyncio
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from cli.checkout import ROOT
from cli.database import DatabaseError, connected, database_url
from cli.operators import no_answer, settings_or_stack
from cli.text import columns

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.config.settings import Settings

FILE: Final = ROOT / "supabase" / "seed.sql"
DOMAIN: Final = "seed.example"
_NAMES: Final = ("Ada", "Grace", "Alan", "Barbara", "Edsger")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(seed)


def seed(
    rows: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Number of rows to add: posts.")
    ] = 1000,
) -> None:
    """Add example users and posts to the local database.

    It prints the passwords of the five users. It runs supabase/seed.sql: add rows of your own
    tables there. Run again, it adds rows and gives the users new passwords. It refuses servers on
    other machines.
    """
    from kernel.errors import ApiError

    settings = settings_or_stack()
    try:
        url = database_url()
        _refuse_others(settings, url)
        people = asyncio.run(_seed(settings, url, rows))
    except DatabaseError as error:
        problem = str(error)
    except ApiError as error:
        problem = no_answer(settings, error.code)
    else:
        typer.echo(columns([("e-mail", "password"), *people]))
        typer.echo(f"Added {rows} rows by supabase/seed.sql; the passwords are shown only here.")
        return
    typer.echo(problem, err=True)
    raise typer.Exit(1)


def _refuse_others(settings: "Settings", url: str) -> None:
    """Raise DatabaseError unless all is on this machine, and not production."""
    from kernel.config.types import is_loopback

    hosts = (settings.supabase_url.host, urlsplit(url).hostname)
    if settings.app_env == "production" or not all(map(is_loopback, hosts)):
        raise DatabaseError(
            "Example rows are for a local stack only, and these settings are of another system. "
            "Unset them, and run ./app up: then ./app seed uses the stack that runs here."
        )


async def _seed(settings: "Settings", url: str, rows: int) -> list[tuple[str, str]]:
    from kernel.supabase import AsService, AuthAdmin, AuthRefusal, SupabaseHttp

    people = [(f"{name.lower()}@{DOMAIN}", secrets.token_urlsafe(12), name) for name in _NAMES]
    async with SupabaseHttp(settings) as http:
        db, admin = AsService(http), AuthAdmin(http)
        for email, password, name in people:
            try:
                await admin.sign_up(email, password, {"display_name": name})
                changed: dict[str, Any] = {"email_confirm": True}
            except AuthRefusal as refusal:
                if refusal.code != "email_exists":
                    raise
                changed = {"password": password}
            await admin.change(await db.rpc("user_id_of", email=email), **changed)
    async with connected(url) as connection, connection.transaction():
        await connection.execute("select set_config('seed.rows', $1, true)", str(rows))
        await connection.execute(FILE.read_text(encoding="utf-8"))
    return [(email, password) for email, password, _ in people]
