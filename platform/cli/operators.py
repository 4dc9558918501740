"""`./app user …`: operators' actions on accounts, outside the API."""

import asyncio
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

import typer

from cli.checkout import ROOT

if TYPE_CHECKING:  # imported when needed: keeps ./app --help fast
    from kernel.config.settings import Settings

Email = Annotated[str, typer.Argument(help="The e-mail address of the account.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    user = typer.Typer(no_args_is_help=True, help="Make a user an admin, or a plain user again.")
    for command in (promote, demote):
        user.command()(command)
    app.add_typer(user, name="user")


def promote(email: Email) -> None:
    """Make a user an admin, from the next login or refresh on."""
    _change(email, "admin")
    typer.echo(f"{email} is an admin from the next login or refresh on.")


def demote(email: Email) -> None:
    """Make an admin a plain user again, at once: their sessions end."""
    _change(email, None)
    typer.echo(f"{email} is a plain user now, and has to log in again.")


def _change(email: str, role: str | None) -> None:
    """Set the role; a failure is one sentence and exit code 1."""
    from postgrest import APIError
    from supabase_auth.errors import AuthError

    from kernel.supabase.http import SupabaseUnavailable

    settings = settings_or_stack()
    try:
        found = asyncio.run(_set_role(settings, email, role))
    except SupabaseUnavailable:
        problem = (
            f"{settings.supabase} does not answer, or not to this key: are SUPABASE_URL and "
            "SUPABASE_SERVICE_KEY right?"
        )
    except (APIError, AuthError) as error:
        problem = f"{settings.supabase} refused ({error.code}): is SUPABASE_SERVICE_KEY its key?"
    else:
        if found:
            return
        problem = f"There is no account with the address {email}."
    typer.echo(problem, err=True)
    raise typer.Exit(1)


async def _set_role(settings: "Settings", email: str, role: str | None) -> bool:
    from kernel.core.addresses import normal_address
    from kernel.identity.audit import Audit
    from kernel.supabase import AsService, AuthAdmin, SupabaseHttp
    from kernel.web.call import Call

    async with SupabaseHttp(settings) as http:
        db = AsService(http)
        user_id = await db.rpc("user_id_of", email=normal_address(email) or email)
        if user_id is None:
            return False
        await AuthAdmin(http).set_role(UUID(user_id), role)
        audit = Audit(db, Call(request_id=uuid4().hex, client_address=None))
        await audit("user_promoted" if role else "user_demoted", user_id=UUID(user_id))
    return True


def settings_or_stack() -> "Settings":
    """Return the settings or, without any, those of the running stack."""
    from kernel.config.settings import Settings, SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError:
        if not (values := values_of_stack()):
            raise
    # Not to stdout, where other programs read JSON.
    typer.echo(
        f"No settings are given: using the stack that runs here, {values['SUPABASE_URL']}.",
        err=True,
    )
    return Settings.model_validate({name.lower(): value for name, value in values.items()})


def no_answer(settings: "Settings", code: object) -> str:
    """Return the sentence for a Supabase that refused or did not answer, with its error code."""
    return (
        f"{settings.supabase} refused or does not answer ({code}): are SUPABASE_URL and "
        "SUPABASE_SERVICE_KEY right?"
    )


def values_of_stack() -> dict[str, str] | None:
    """Return the running stack's values, unless the settings name a Supabase or no stack runs."""
    try:
        from devstack import StackError, StackFolder, read_settings
    except ModuleNotFoundError:  # as in production
        return None
    if any(name.startswith("SUPABASE_") and value for name, value in read_settings(ROOT).items()):
        return None
    try:
        return StackFolder(ROOT).read_values()
    except StackError:
        return None
