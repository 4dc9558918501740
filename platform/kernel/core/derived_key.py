"""Keys for hashes that all processes compute alike, and nobody without the secret."""

import hashlib
import hmac


def derived_key(secret: str, purpose: str) -> bytes:
    """Return a key for one purpose, derived from a secret that all processes have (RFC 2104)."""
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
