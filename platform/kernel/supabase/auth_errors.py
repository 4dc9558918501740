"""What each refusal of Supabase Auth means for our caller, unless a slice says otherwise.

One table has every code that Auth has. They are listed at
https://supabase.com/docs/guides/auth/debugging/error-codes and, completely, in Auth's own source:
https://github.com/supabase/auth/blob/master/internal/api/apierrors/errorcode.go
"""

import logging
import re
from typing import Final

from supabase_auth.errors import (
    AuthError,
    AuthInvalidCredentialsError,
    AuthSessionMissingError,
    AuthWeakPasswordError,
)

from kernel.errors import (
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from kernel.supabase.answers import AUTH_CODE
from kernel.supabase.http import SupabaseUnavailable

log = logging.getLogger(__name__)


class AuthConfiguration(Unavailable):
    """A setting of the Supabase project, or of a hook, keeps Auth from doing this.

    The log line has Auth's code.
    """

    code = "AUTH_CONFIGURATION"
    message = "The sign-in service is not set up for this. Its operators can see why in the log."
    retry_after = 60


class MailLimitReached(Unavailable):
    """Auth's limit of mails for the whole project is used up, so no mail was sent."""

    code = "MAIL_LIMIT_REACHED"
    message = "No message can be sent at the moment. Please try again later."
    retry_after = 600


class SecondFactorRequired(Forbidden):
    """The account has a second factor, which this session did not prove (Auth: aal2)."""

    code = "SECOND_FACTOR_REQUIRED"
    message = "This account has a second factor: log in with it, and repeat this."


class InvalidEmail(ValidationFailed):
    """Auth does not accept this address."""

    field = "body.email"
    field_message = "This e-mail address is not accepted."


class InvalidPassword(ValidationFailed):
    """Auth does not accept this password."""

    field = "body.password"
    field_message = "This password is not accepted: choose another."


def _all(kind: type[ApiError], *codes: str) -> dict[str, type[ApiError]]:
    return dict.fromkeys((code for line in codes for code in line.split()), kind)


AUTH_ERRORS: Final[dict[str, type[ApiError]]] = {
    **_all(
        ValidationFailed,
        "bad_json request_entity_too_large validation_failed web3_unsupported_chain",
    ),
    **_all(InvalidEmail, "email_address_invalid email_address_not_provided"),
    **_all(InvalidPassword, "same_password weak_password"),
    **_all(
        Unauthenticated,
        "bad_code_verifier bad_jwt flow_state_already_used flow_state_expired",
        "flow_state_not_found invalid_credentials invalid_jwt otp_expired",
        "refresh_token_already_used refresh_token_not_found session_expired session_not_found",
        "user_not_found",
    ),
    **_all(
        Forbidden,
        "current_password_invalid current_password_required email_not_confirmed",
        "mfa_challenge_expired mfa_ip_address_mismatch mfa_verification_failed",
        "mfa_verification_rejected phone_not_confirmed provider_email_needs_verification",
        "reauth_nonce_missing reauthentication_needed reauthentication_not_valid user_banned",
        "user_sso_managed webauthn_challenge_expired webauthn_verification_failed",
    ),
    **_all(SecondFactorRequired, "insufficient_aal"),
    **_all(
        NotFound,
        "custom_provider_not_found identity_not_found invite_not_found mfa_factor_not_found",
        "oauth_authorization_not_found oauth_client_not_found oauth_consent_not_found",
        "saml_idp_not_found sso_provider_not_found webauthn_challenge_not_found",
        "webauthn_credential_not_found",
    ),
    **_all(
        Conflict,
        "email_conflict_identity_not_deletable email_exists identity_already_exists",
        "mfa_factor_name_conflict mfa_verified_factor_exists over_custom_provider_quota",
        "phone_exists saml_idp_already_exists single_identity_not_deletable",
        "sso_domain_already_exists too_many_enrolled_mfa_factors too_many_passkeys",
        "user_already_exists webauthn_credential_exists",
    ),
    **_all(TooManyRequests, "over_request_rate_limit over_sms_send_rate_limit"),
    **_all(MailLimitReached, "over_email_send_rate_limit"),  # or an address's: see from_auth
    # Parallel calls for one session, slow hooks, a slow database: it works a moment later.
    **_all(
        SupabaseUnavailable,
        "conflict hook_timeout hook_timeout_after_retry request_timeout unexpected_failure unknown",
    ),
    **_all(
        AuthConfiguration,
        "anonymous_provider_disabled bad_oauth_callback bad_oauth_state captcha_failed",
        "email_address_not_authorized email_provider_disabled feature_disabled",
        "hook_payload_invalid_content_type hook_payload_over_size_limit manual_linking_disabled",
        "mfa_phone_enroll_not_enabled mfa_phone_verify_not_enabled mfa_totp_enroll_not_enabled",
        "mfa_totp_verify_not_enabled mfa_webauthn_enroll_not_enabled",
        "mfa_webauthn_verify_not_enabled no_authorization not_admin oauth_client_state_expired",
        "oauth_client_state_not_found oauth_dynamic_client_registration_disabled",
        "oauth_invalid_state oauth_provider_not_supported otp_disabled passkey_disabled",
        "phone_provider_disabled provider_disabled saml_assertion_no_email",
        "saml_assertion_no_user_id saml_entity_id_mismatch saml_metadata_fetch_failed",
        "saml_provider_disabled saml_relay_state_expired saml_relay_state_not_found",
        "signup_disabled sms_send_failed sso_provider_disabled unexpected_audience",
        "web3_provider_disabled",
    ),
}
OTHER: Final = "other"
# What an operator has to see. Only the message tells the two limits of mails apart.
_REPORTED: Final = (AuthConfiguration, MailLimitReached, SupabaseUnavailable)
_ONE_ADDRESS: Final = re.compile(
    r"For security purposes, you can only request this (?:after|once every) (\d{1,5}) seconds\.?"
)


def code_of(error: AuthError) -> str:
    """Return Auth's code for a refusal, also for those that the client library makes itself."""
    if isinstance(error, AuthSessionMissingError):  # an empty refresh token
        return "session_not_found"
    if isinstance(error, AuthInvalidCredentialsError):
        return "validation_failed"
    if isinstance(error, AuthWeakPasswordError):
        return "weak_password"
    return error.code or ""


def known_code(error: AuthError) -> str:
    """Return the code for a metric: one of the table, or `other`."""
    code = code_of(error)
    return code if code in AUTH_ERRORS else OTHER


def from_auth(error: AuthError) -> ApiError:
    """Return the error for a refusal; what is unknown is SupabaseUnavailable.

    Refusals that operators must know of are logged, with Auth's code.
    """
    code = code_of(error)
    if code == "over_email_send_rate_limit" and (wait := _ONE_ADDRESS.fullmatch(error.message)):
        return TooManyRequests(retry_after=max(1, int(wait[1])))
    meaning = _field(error) if code == "validation_failed" else AUTH_ERRORS.get(code)
    meaning = meaning or SupabaseUnavailable
    if issubclass(meaning, _REPORTED):
        log.error(
            "Supabase Auth refuses",
            extra={
                "auth_code": code if AUTH_CODE.fullmatch(code) else "none",
                "auth_status": getattr(error, "status", None),
            },
        )
    return meaning()


def _field(error: AuthError) -> type[ApiError]:
    """Return which field is not valid: Auth says it only in a sentence."""
    said = error.message.lower()
    if "email" in said:
        return InvalidEmail
    return InvalidPassword if "password" in said else ValidationFailed
