"""The gateway's configuration."""

from dataclasses import dataclass, field

import jwt

# The Supabase CLI's public defaults: only for this machine.
CLI_JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"  # noqa: S105  # no secret
_CLI_KEY_EXPIRY = 1983812996


def api_key(role: str, secret: str = CLI_JWT_SECRET) -> str:
    """Return the JWT that `supabase start` prints as the key of a role (anon, service_role)."""
    claims = {"iss": "supabase-demo", "role": role, "exp": _CLI_KEY_EXPIRY}
    return jwt.encode(claims, secret, algorithm="HS256")


@dataclass(frozen=True, kw_only=True)
class GatewayConfig:
    """Settings of one gateway; times in seconds.

    `database_url` has host, port and database; the gateway connects as `supabase_auth_admin` for
    Auth, as `authenticator` for PostgREST's part and as `supabase_storage_admin` for Storage, as
    the real servers do. `signing_key` is an ES256 private key in PEM form: with it tokens are ES256
    and published as JWKS, without it they are HS256 with `jwt_secret`. `double_confirm_changes`: a
    change of address is confirmed at both addresses. `secure_password_change`: a session of more
    than a day cannot change the password by itself. `require_current_password`: a new password
    needs the current one. `captcha`: sign-ups and logins need one, which nobody can solve here.
    `forwards_addresses`: the client's address is taken from `Sb-Forwarded-For`, if the request has
    a secret key of the form `sb_secret_…`. `refresh_seconds` and `mail_seconds` make it as slow as
    a real one: refreshes of one token run one after the other and each takes that long, and so does
    the mail server. `storage_folder` keeps the bytes of files; without it they are in a temporary
    folder, and are gone when the gateway ends. `file_size_limit` is the largest file in bytes, in
    every bucket; a resumable upload can be continued for `resumable_expiry`.
    """

    database_url: str
    public_url: str
    site_url: str = "http://127.0.0.1:3000"
    jwt_secret: str = CLI_JWT_SECRET
    anon_key: str = field(default_factory=lambda: api_key("anon"))
    service_key: str = field(default_factory=lambda: api_key("service_role"))
    signing_key: str | None = None
    jwt_expiry: int = 1800
    jwt_issuer: str | None = None
    session_timebox: int = 7 * 24 * 3600
    refresh_reuse_interval: int = 10
    password_min_length: int = 8
    autoconfirm: bool = True
    mail_interval: int = 60
    otp_length: int = 6
    otp_expiry: int = 3600
    double_confirm_changes: bool = True
    secure_password_change: bool = False
    require_current_password: bool = False
    email_provider: bool = True
    anonymous_users: bool = False
    captcha: bool = False
    forwards_addresses: bool = False
    refresh_seconds: float = 0
    mail_seconds: float = 0
    smtp_host: str = "127.0.0.1"
    smtp_port: int | None = None
    mail_from: str = "auth@example.com"
    max_rows: int = 1000
    db_pool_size: int = 10
    bcrypt_rounds: int = 10
    storage_folder: str | None = None
    file_size_limit: int = 1 << 30
    resumable_expiry: int = 24 * 3600
