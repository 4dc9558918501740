"""Checks the settings of the Supabase project, as far as Auth publishes them."""

from typing import Final

from supabase_auth.errors import AuthError

from kernel.config.finding import Finding
from kernel.config.settings import Settings
from kernel.errors import ApiError
from kernel.supabase import Agreement, AuthApi, SupabaseHttp

BY_HAND: Final = (
    "double_confirm_changes = true: direct calls of Auth confirm a new address at both",
    "secure_password_change = true: Auth lets only a login of the last day change the password",
    (
        "IP address forwarding (dashboard: Authentication, Rate Limits; where Auth is yours: "
        "GOTRUE_SECURITY_SB_FORWARDED_FOR_ENABLED = true), with a SUPABASE_SERVICE_KEY of the form "
        "sb_secret_…: otherwise Auth's limits count all clients as one address"
    ),
    "otp_length = 10 and otp_expiry = 900 or less: codes in Auth's own mails can be guessed",
)
"""Settings (names of supabase/config.toml) that Auth does not publish: check them by hand."""


async def project_findings(settings: Settings) -> list[Finding]:
    """Return the faults in Auth's public settings. Changes nothing in the project."""
    async with SupabaseHttp(settings) as http:
        try:
            faults = await Agreement(http, settings).faults()
            if any(fault.setting == "SUPABASE_KEY" for fault in faults):
                return faults
            said = await AuthApi(http, client_address=None).settings()
        except (ApiError, AuthError):
            reason = (
                "does not lead to a running Supabase Auth, or the keys are those of another "
                "project: see the log line above"
            )
            return [Finding("error", "SUPABASE_URL", reason)]
    if said.confirms_addresses:
        return faults
    reason = "is off: users get sessions for addresses that are not theirs; switch it on"
    return [*faults, Finding("warning", "enable_confirmations", reason)]


async def report_disagreement(settings: Settings) -> None:
    """Log what in the settings is not the project's; nothing if the project does not answer."""
    async with SupabaseHttp(settings) as http:
        await Agreement(http, settings).reached()
