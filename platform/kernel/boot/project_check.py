"""What the Supabase project itself should have set: asked where Auth tells it, else named."""

from typing import Final

from supabase_auth.errors import AuthError

from kernel.config.finding import Finding
from kernel.config.settings import Settings
from kernel.errors import ApiError
from kernel.supabase import AuthApi, SupabaseHttp

BY_HAND: Final = (
    "double_confirm_changes = true: who asks Auth directly confirms a new address at both",
    "secure_password_change = true: Auth lets only a login of the last day change the password",
    "otp_length = 10 and otp_expiry = 900 or less: codes in Auth's own mails can be guessed",
)
"""Settings of Auth (names of supabase/config.toml) that it tells nobody; a person has to look."""


async def project_findings(settings: Settings) -> list[Finding]:
    """Return what Auth's public settings say against this project. Changes nothing there."""
    async with SupabaseHttp(settings) as http:
        try:
            said = await AuthApi(http, client_address=None).settings()
        except (ApiError, AuthError):
            reason = "does not lead to a Supabase Auth that answers: see the log line above"
            return [Finding("error", "SUPABASE_URL", reason)]
    if said.confirms_addresses:
        return []
    reason = "is off: new users get a session with addresses that are not theirs; switch it on"
    return [Finding("warning", "enable_confirmations", reason)]
