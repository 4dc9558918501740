"""A4: everything that is not a valid access token of our Supabase Auth is refused."""

import time
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from kernel.errors import Unavailable
from kernel.identity.jwks import FRESH_SECONDS, REFETCH_SECONDS, RETRY_SECONDS, STALE_SECONDS, Jwks
from kernel.identity.tokens import LEEWAY_SECONDS, InvalidToken, TokenVerifier

SECRET = "a secret of at least thirty-two bytes"
ISSUER = "https://project.supabase.co/auth/v1"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = int(time.time())


class KeyServer:
    """A JWKS endpoint whose keys and health a test sets."""

    def __init__(self) -> None:
        self.keys = {"ec": EC_KEY, "rsa": RSA_KEY}
        self.requests = 0
        self.down = False
        self.extra: list[dict[str, Any]] = []

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.down:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"keys": [*map(public, self.keys.items()), *self.extra]})


def public(item: tuple[str, Any]) -> dict[str, Any]:
    kid, key = item
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    kind: Any = ECAlgorithm if algorithm == "ES256" else RSAAlgorithm
    return kind.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "alg": algorithm}


def claims(**changes: Any) -> dict[str, Any]:
    found = {
        "sub": str(uuid4()),
        "aud": "authenticated",
        "role": "authenticated",
        "session_id": str(uuid4()),
        "iss": ISSUER,
        "iat": NOW,
        "exp": NOW + 1800,
        "app_metadata": {"provider": "email", "role": "admin"},
        "user_metadata": {"role": "owner"},
    } | changes
    return {name: value for name, value in found.items() if value is not None}


def hs256(secret: str = SECRET, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256", headers=headers)


def es256(key: Any = EC_KEY, kid: str = "ec", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm="ES256", headers={"kid": kid})


@pytest.fixture
def server() -> KeyServer:
    return KeyServer()


@pytest.fixture
async def verifier(server: KeyServer, frozen_time):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        jwks = Jwks(http, "https://project.supabase.co/keys")
        yield TokenVerifier(secret=SECRET, jwks=jwks, audience="authenticated", issuer=ISSUER)


async def test_each_family_is_accepted_with_its_key(verifier):
    rs256 = jwt.encode(claims(), RSA_KEY, algorithm="RS256", headers={"kid": "rsa"})
    for token in (hs256(), es256(), rs256):
        assert (await verifier.verify(token)).token == token


async def test_the_callers_role_comes_from_app_metadata_and_not_from_user_metadata(verifier):
    caller = await verifier.verify(hs256())
    assert caller.role == "admin"
    assert caller.token not in repr(caller)


def _confused() -> str:
    # The public key is used as if it were a shared secret (CVE-2016-5431 and similar).
    pem = EC_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    import base64
    import hashlib
    import hmac
    import json

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT", "kid": "ec"}) + b"." + part(claims())
    digest = hmac.new(pem, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


REFUSED = {
    "alg none": lambda: jwt.encode(claims(), "", algorithm="none"),
    "HS256 signed with the public key": _confused,
    "another secret": lambda: hs256("another secret of thirty-two bytes or more"),
    "another key": lambda: es256(OTHER_EC_KEY),
    "a kid of the other family": lambda: es256(kid="rsa"),
    "HS384": lambda: jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
    "wrong audience": lambda: hs256(aud="anon"),
    "no audience": lambda: hs256(aud=None),
    "wrong issuer": lambda: hs256(iss="https://elsewhere.example"),
    "expired": lambda: hs256(exp=NOW - LEEWAY_SECONDS - 1),
    "not yet valid": lambda: hs256(nbf=NOW + 600),
    "no expiry": lambda: hs256(exp=None),
    "longer than ended sessions are remembered": lambda: hs256(exp=NOW + 24 * 3600 + 1),
    "longer, and it does not say since when": lambda: hs256(iat=None, exp=NOW + 25 * 3600),
    "no subject": lambda: hs256(sub=None),
    "no session": lambda: hs256(session_id=None),
    "a session that is no UUID": lambda: hs256(session_id="1"),
    "a subject that is no UUID": lambda: hs256(sub="root"),
    "a service key": lambda: hs256(role="service_role"),
    "an anonymous key": lambda: hs256(role="anon"),
    "jku": lambda: hs256(headers={"jku": "https://evil.example/keys"}),
    "jwk": lambda: hs256(headers={"jwk": public(("evil", OTHER_EC_KEY))}),
    "crit": lambda: hs256(headers={"crit": ["exp"]}),
    "unknown kid": lambda: es256(kid="unknown"),
    "no kid": lambda: jwt.encode(claims(), EC_KEY, algorithm="ES256"),
    "empty": lambda: "",
    "not a token": lambda: "a.b.c",
    "not ASCII": lambda: "ü.ü.ü",
    "too long": lambda: "a" * 10_000,
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_a4_everything_else_is_refused(verifier, make):
    with pytest.raises(InvalidToken):
        await verifier.verify(make())


async def test_a4_unknown_kids_cause_one_request_in_30_seconds(verifier, server, frozen_time):
    for number in range(1000):
        with pytest.raises(InvalidToken):
            await verifier.verify(es256(kid=f"unknown-{number % 7}"))
    assert server.requests == 1
    frozen_time.tick(REFETCH_SECONDS)
    with pytest.raises(InvalidToken):
        await verifier.verify(es256(kid="unknown"))
    assert server.requests == 2


async def test_a_symmetric_key_in_the_set_is_not_used(verifier, server):
    server.extra = [{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}]
    with pytest.raises(InvalidToken):
        await verifier.verify(es256(kid="oct"))


async def test_without_a_secret_hs256_is_refused(server):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        jwks = Jwks(http, "https://project.supabase.co/keys")
        verifier = TokenVerifier(secret=None, jwks=jwks, audience="authenticated")
        with pytest.raises(InvalidToken):
            await verifier.verify(hs256())
        assert (await verifier.verify(es256(iss=None))).user_id


async def test_keys_are_served_stale_for_a_day_while_their_server_is_away(
    verifier, server, frozen_time
):
    await verifier.verify(es256())
    server.down = True
    frozen_time.tick(FRESH_SECONDS + 1)
    assert await verifier.verify(es256())
    frozen_time.tick(STALE_SECONDS)
    with pytest.raises(Unavailable):
        await verifier.verify(es256())


async def test_a5_a_process_without_keys_has_them_soon_after_their_server_is_back(
    verifier, server, frozen_time
):
    server.down = True
    for _ in range(100):
        with pytest.raises(Unavailable):
            await verifier.verify(es256())
    assert server.requests == 1
    server.down = False
    frozen_time.tick(RETRY_SECONDS)
    assert await verifier.verify(es256())


async def test_a_rotated_key_is_found_and_the_old_one_forgotten(verifier, server, frozen_time):
    old = es256()
    await verifier.verify(old)
    server.keys = {"next": OTHER_EC_KEY}
    frozen_time.tick(REFETCH_SECONDS)
    assert await verifier.verify(es256(OTHER_EC_KEY, kid="next"))
    with pytest.raises(InvalidToken):
        await verifier.verify(old)


async def test_a_remembered_token_expires_all_the_same(server, frozen_time):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        jwks = Jwks(http, "https://project.supabase.co/keys")
        verifier = TokenVerifier(secret=SECRET, jwks=jwks, audience="authenticated")
        token = hs256()
        assert await verifier.verify(token) is await verifier.verify(token)
        frozen_time.tick(1800 + LEEWAY_SECONDS)
        with pytest.raises(InvalidToken):
            await verifier.verify(token)


async def test_while_signing_keys_overlap_tokens_of_both_count(verifier, server, frozen_time):
    old = es256()
    assert (await verifier.verify(old)).token == old
    server.keys["next"] = OTHER_EC_KEY  # published before it signs, like Supabase's standby key
    frozen_time.tick(FRESH_SECONDS + 1)
    new = es256(OTHER_EC_KEY, kid="next")
    for token in (old, new):
        assert (await verifier.verify(token)).token == token


async def test_a_revoked_signing_key_counts_ten_minutes_more_at_most(verifier, server, frozen_time):
    old, exp = es256(exp=NOW + 7200), NOW + 7200
    assert (await verifier.verify(old)).token == old
    del server.keys["ec"]
    server.keys["next"] = OTHER_EC_KEY
    frozen_time.tick(FRESH_SECONDS + 1)
    await verifier.verify(es256(OTHER_EC_KEY, kid="next", exp=exp))
    with pytest.raises(InvalidToken):
        await verifier.verify(old)


async def test_after_the_change_to_signing_keys_the_old_secret_counts_as_long_as_it_is_set(
    server, frozen_time
):
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        jwks = Jwks(http, "https://project.supabase.co/keys")
        audience = "authenticated"
        both = TokenVerifier(secret=SECRET, jwks=jwks, audience=audience, issuer=ISSUER)
        after = TokenVerifier(secret=None, jwks=jwks, audience=audience, issuer=ISSUER)
        for token in (hs256(), es256()):
            assert (await both.verify(token)).token == token
        assert await after.verify(es256())
        with pytest.raises(InvalidToken):
            await after.verify(hs256())
