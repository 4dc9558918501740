"""Tokens of signed URLs: each is for one object and one action, upload or download."""

import time
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import jwt

from devstack.gateway.storage.errors import invalid_token

Scope: TypeAlias = Literal["upload", "download"]
UPLOAD_SECONDS: Final = 2 * 3600
# What is left as it is in the path of a URL: all that names may contain, but for the `?`.
_IN_PATH: Final = "/!$&'()*+,;=:@ "
_PLACES: Final = {"upload": "/object/upload/sign", "download": "/object/sign"}


def sign(secret: str, scope: Scope, path: str, seconds: int, **claims: Any) -> str:
    """Return a token for the object at `path` (bucket/name) that is valid for so many seconds."""
    now = int(time.time())
    # Last, so that no claim can replace them.
    fixed = {"url": path, "scope": scope, "iat": now, "exp": now + seconds}
    return jwt.encode({**claims, **fixed}, secret, algorithm="HS256")


def signed_url(scope: Scope, path: str, token: str) -> str:
    """Return the URL for a token, below /storage/v1."""
    return f"{_PLACES[scope]}/{quote(path, safe=_IN_PATH)}?token={token}"


def verify(secret: str, scope: Scope, path: str, token: str) -> dict[str, Any]:
    """Return the claims of a token; raises StorageError unless it is for this object and action."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=["HS256"], options={"verify_aud": False, "require": ["exp"]}
        )
    except jwt.ExpiredSignatureError:
        raise invalid_token("InvalidJWT", '"exp" claim timestamp check failed') from None
    except jwt.InvalidSignatureError:
        raise invalid_token("InvalidJWT", "signature verification failed") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise invalid_token("InvalidJWT", "Invalid Compact JWS") from None
    if claims.get("scope") != scope:
        raise invalid_token("InvalidSignature", f"Token is not scoped for {scope}")
    if claims.get("url") != path:
        raise invalid_token("InvalidSignature", "Invalid signature")
    return claims
