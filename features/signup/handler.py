from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from features.shared.passwords import PasswordRefused
from features.shared.sessions import Session
from features.shared.settings import SETTINGS_ID, SiteSettings
from kernel.cache import CacheWarmer
from kernel.supabase import AsCaller, AuthApi
from kernel.web import ConstantTimeDelay

from .schema import EmailTaken, NewUser, SignupsClosed

_REFUSALS = {
    "user_already_exists": EmailTaken,
    "email_exists": EmailTaken,
    "signup_disabled": SignupsClosed,
}

# Auth hashes a password and sends a mail for a new address, and does neither for a taken one.
_STEP_SECONDS = 1.0


async def signup(auth: AuthApi, db: AsCaller, warmer: CacheWarmer, new: NewUser) -> Session | None:
    """Create the user and return the first session, or None while the address is unconfirmed.

    Raises EmailTaken, SignupsClosed or PasswordRefused.
    """
    await _refuse_while_closed(db)  # before anything that depends on the address
    delay = ConstantTimeDelay(_STEP_SECONDS)
    data = {"display_name": new.display_name} if new.display_name else {}
    try:
        created = await auth.sign_up(new.email, new.password.get_secret_value(), data)
    except AuthWeakPasswordError:
        raise PasswordRefused from None
    except AuthApiError as error:
        if error.code == "over_email_send_rate_limit":
            await delay.wait()
            return None  # a mail is on its way already; the answer must not tell
        if refusal := _REFUSALS.get(error.code or ""):
            raise refusal from None
        raise
    if created.session is None:
        await delay.wait()
        return None
    session = Session.model_validate(await auth.session(created.session))
    await warmer.warm(session.access_token)
    return session


async def _refuse_while_closed(db: AsCaller) -> None:
    found = await db.table("settings").select("*").eq("id", SETTINGS_ID).limit(1).execute()
    if not SiteSettings.model_validate(found.data[0]).signups_open:
        raise SignupsClosed
