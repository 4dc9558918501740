"""Unsafe settings for production: reported by `./app config check`, and at the start."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parseaddr
from ipaddress import ip_address
from typing import Final, Literal

import jwt
from jwt.types import Options
from pydantic import SecretStr

from kernel.config.settings import JWT_SECRET_MIN_BYTES, NO_REPLY, Settings, SettingsError

log = logging.getLogger(__name__)

# The default of the Supabase CLI and ./app up, so it is public.
CLI_JWT_SECRET: Final = "super-secret-jwt-token-with-at-least-32-characters-long"  # noqa: S105  # no secret
# SHA-256 of the CLI's default keys of the newer format, sb_publishable_… and sb_secret_….
_CLI_KEYS: Final = frozenset(
    {
        "9705102db0d5f99ee08daa19a73e510d9877a2a9add9369da247cbbe6c2a0140",
        "c85debb55f2f204d868cc1552c42faa143b4c675f61363ab040dd50b5b5304cd",
    }
)
_ANY_CLAIMS: Final[Options] = {"verify_exp": False, "verify_aud": False, "verify_iat": False}


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of a setting, without its value. An error prevents the start in production."""

    level: Literal["error", "warning"]
    setting: str
    reason: str

    def __str__(self) -> str:
        return f"  {self.setting} {self.reason}"


def findings(settings: Settings) -> list[Finding]:
    """Return all findings, errors first.

    Outside production only the connection to Supabase is checked, because secrets travel there, and
    whether there is a broker.
    """
    found = [*_supabase_url(settings), *_one_redis(settings)]
    if settings.app_env == "production":
        found += [*_secrets(settings), *_mail(settings), *_addresses(settings), *_rest(settings)]
    return sorted(found, key=lambda finding: finding.level)


def refuse_unsafe(settings: Settings) -> None:
    """In production, raise SettingsError with all errors, if there are any."""
    errors = [finding for finding in findings(settings) if finding.level == "error"]
    if errors and settings.app_env == "production":
        raise SettingsError(refusal(errors))


def log_warnings(settings: Settings) -> None:
    """Log one line for each warning."""
    for finding in findings(settings):
        if finding.level == "warning":
            reason = {"setting": finding.setting, "reason": finding.reason}
            log.warning("A setting is not recommended for production", extra=reason)


def refusal(errors: list[Finding]) -> str:
    """Return the message about errors, one line each."""
    lines = "\n".join(map(str, errors))
    return (
        f"The settings are not safe:\n{lines}\n"
        "With APP_ENV=production nothing starts before they are fixed; .env.example explains each."
    )


def _supabase_url(settings: Settings) -> Iterator[Finding]:
    url = settings.supabase_url
    if url.scheme == "https":
        return
    if settings.app_env == "production":
        yield Finding("error", "SUPABASE_URL", "must be https://: secrets are sent there")
    elif not _is_loopback(url.host):
        reason = "is http:// to another machine, and secrets are sent there: use https://"
        yield Finding("error", "SUPABASE_URL", reason)


def _secrets(settings: Settings) -> Iterator[Finding]:
    if settings.jwt_secret is not None and _is_known(settings.jwt_secret):
        reason = "is the Supabase CLI's public default, so anyone can make tokens: use your own"
        yield Finding("error", "JWT_SECRET", reason)
    keys = {
        "SUPABASE_KEY": settings.supabase_key,
        "SUPABASE_SERVICE_KEY": settings.supabase_service_key,
    }
    for name, key in keys.items():
        if _is_known(key):
            reason = "is a public default key of the Supabase CLI: use your project's"
            yield Finding("error", name, reason)
    if _is_short(settings.supabase_service_key):
        reason = f"has less than {JWT_SECRET_MIN_BYTES} bytes, which can be guessed"
        yield Finding("error", "SUPABASE_SERVICE_KEY", reason)
    if _is_secret_key(settings.supabase_key):
        reason = "is a secret key: anonymous callers would bypass row security"
        yield Finding("error", "SUPABASE_KEY", reason)


def _mail(settings: Settings) -> Iterator[Finding]:
    host = settings.smtp_host
    if host is None:
        yield Finding("error", "SMTP_HOST", "is missing: no mail could be sent")
    elif settings.smtp_security == "none" and not _is_loopback(host):
        reason = "is none: mails would be sent unencrypted; use starttls or tls"
        yield Finding("error", "SMTP_SECURITY", reason)
    if parseaddr(settings.mail_from)[1] == NO_REPLY:
        yield Finding("warning", "MAIL_FROM", "is the default: mails would look forged")


def _addresses(settings: Settings) -> Iterator[Finding]:
    if settings.app_url == Settings.model_fields["app_url"].default:
        yield Finding("error", "APP_URL", "is the default: links in mails would lead nowhere")
    elif settings.app_url.scheme != "https":
        reason = "must be https://: links in mails carry one-time tokens"
        yield Finding("error", "APP_URL", reason)
    if "*" in settings.cors_origins:
        reason = "is *: pages of any origin could call with credentials; name your own"
        yield Finding("error", "CORS_ORIGINS", reason)
    if any(origin.startswith("http://") for origin in settings.cors_origins):
        reason = "has http:// origins: an attacker on the network can change their pages"
        yield Finding("warning", "CORS_ORIGINS", reason)
    if "*" in settings.allowed_hosts:
        yield Finding("warning", "ALLOWED_HOSTS", "is *: name the hosts that you serve")


def _one_redis(settings: Settings) -> Iterator[Finding]:
    if settings.broker_host is None:
        reason = (
            "is missing: the cache may evict jobs, and counters of wrong passwords; name a server "
        )
        yield Finding("warning", "BROKER_HOST", reason + "that evicts nothing")


def _rest(settings: Settings) -> Iterator[Finding]:
    if settings.docs:
        yield Finding("warning", "DOCS_ENABLED", "is true: everyone can read /docs")


def _is_known(secret: SecretStr) -> bool:
    value = secret.get_secret_value()
    if value == CLI_JWT_SECRET or hashlib.sha256(value.encode()).hexdigest() in _CLI_KEYS:
        return True
    try:
        jwt.decode(value, CLI_JWT_SECRET, algorithms=["HS256"], options=_ANY_CLAIMS)
    except jwt.InvalidTokenError:
        return False
    return True


def _is_secret_key(key: SecretStr) -> bool:
    value = key.get_secret_value()
    if value.startswith("sb_secret_"):
        return True
    try:
        claims = jwt.decode(value, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return False
    return claims.get("role") == "service_role"


def _is_short(secret: SecretStr) -> bool:
    return len(secret.get_secret_value().encode()) < JWT_SECRET_MIN_BYTES


def _is_loopback(host: str | None) -> bool:
    name = (host or "").strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
