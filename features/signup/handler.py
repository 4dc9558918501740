import asyncio

from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
from features.shared.settings import SETTINGS_ID, SiteSettings
from kernel.cache import CacheWarmer
from kernel.supabase import AsCaller, AsService, AuthAdmin, AuthApi, AuthRefusal, refusals
from kernel.web import Call, ConstantTimeDelay

from .schema import EmailTaken, NewUser, SignupsClosed, unfinished

_REFUSALS = {
    "user_already_exists": EmailTaken,
    "email_exists": EmailTaken,
    "signup_disabled": SignupsClosed,
    "email_provider_disabled": SignupsClosed,
    "weak_password": PasswordRefused,
}

# Auth hashes a password for a new address, but not for a taken one.
_STEP_SECONDS = 1.0


async def signup(
    auth: AuthApi,
    admin: AuthAdmin,
    db: AsCaller,
    service: AsService,
    warmer: CacheWarmer,
    call: Call,
    *,
    new: NewUser,
) -> Session | None:
    """Create the user and return the first session, or None while the address is unconfirmed.

    Raises EmailTaken, SignupsClosed, PasswordRefused, or SignupUnfinished once there may be an
    account.
    """
    settings, is_open = await asyncio.gather(auth.settings(), _open(db))
    if not settings.takes_signups or not is_open:  # before the address is examined
        raise SignupsClosed
    with refusals(_REFUSALS):
        auth.check_password(_password(new), email=new.email)
        if settings.confirms_addresses:
            await _claim(auth, admin, service, call, new)
            return None
        with unfinished():
            begun = (await auth.sign_up(new.email, _password(new), _data(new, call))).session
    if begun is None:  # confirmation was enabled meanwhile
        return None
    with unfinished(created=True):
        session = Session.model_validate(await auth.session(begun))
    await warmer.warm(session.access_token)
    return session


async def _claim(
    auth: AuthApi, admin: AuthAdmin, service: AsService, call: Call, new: NewUser
) -> None:
    """Create the user if the address is free, and request a mail: in the same time for all."""
    delay = ConstantTimeDelay(_STEP_SECONDS)
    confirmed: bool | None = await service.rpc("address_confirmed", email=new.email)
    created = confirmed is None
    try:
        if created:
            with unfinished():
                await admin.sign_up(new.email, _password(new), _data(new, call))
        elif confirmed:  # Auth checks the password as for a new address, and changes nothing
            await auth.sign_up(new.email, _password(new), {})
    except AuthRefusal as error:
        if created and error.code != "email_exists":
            raise
        created = False  # a concurrent sign-up was faster, or the address has an account
    with unfinished(created=True):
        await service.rpc(
            "request_confirmation",
            email=new.email,
            created=created,
            address=call.client_address,
            request_id=call.request_id,
        )
    await delay.wait()


def _password(new: NewUser) -> str:
    return new.password.get_secret_value()


def _data(new: NewUser, call: Call) -> dict[str, str]:
    """Return the user's metadata; mails are in the language of `locale`."""
    data = {"display_name": new.display_name, "locale": call.language}
    return {name: value for name, value in data.items() if value}


async def _open(db: AsCaller) -> bool:
    found = await db.table("settings").select("*").eq("id", SETTINGS_ID).limit(1).execute()
    return SiteSettings.model_validate(found.data[0]).signups_open
