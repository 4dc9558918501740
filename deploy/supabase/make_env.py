"""Print an .env for the profile `supabase` of compose.yaml, with random secrets of its own.

    python3 deploy/supabase/make_env.py >.env

It is for trying out on this machine: APP_ENV=test, and mails go to the inbox of the profile.
Standard library only, so that it runs before anything is installed.
"""

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time

TEN_YEARS = 10 * 365 * 24 * 3600


def key(role: str, secret: str) -> str:
    """Return a key of the project: a token with this role, signed with the project's secret."""
    now = int(time.time())
    claims = {"role": role, "iss": "supabase", "iat": now, "exp": now + TEN_YEARS}
    head = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{_encoded(json.dumps(claims).encode())}"
    signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def settings() -> dict[str, str]:
    """Return the variables and their values."""
    secret = secrets.token_urlsafe(48)
    return {
        "APP_ENV": "test",
        "SUPABASE_URL": "http://gateway:8000",
        "SUPABASE_PUBLIC_URL": "http://127.0.0.1:54321",
        "SUPABASE_KEY": key("anon", secret),
        "SUPABASE_SERVICE_KEY": key("service_role", secret),
        "JWT_SECRET": secret,
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "REDIS_PASSWORD": secrets.token_urlsafe(24),
        "BROKER_PASSWORD": secrets.token_urlsafe(24),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(24),
        "SMTP_HOST": "mailpit",
        "SMTP_PORT": "1025",
        "SMTP_SECURITY": "none",
        "APP_URL": "http://127.0.0.1:3000",
    }


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}={value}\n" for name, value in settings().items())
