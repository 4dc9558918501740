"""Access tokens: signed with the shared secret (HS256) or a private key (ES256, with JWKS)."""

from contextlib import suppress
from typing import Any, cast
from uuid import NAMESPACE_OID, uuid5

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm

from devstack.gateway.auth.errors import bad_jwt
from devstack.gateway.claims import KeyRefused, check_api_key
from devstack.gateway.config import GatewayConfig

_UNVERIFIED = "unable to parse or verify signature, token "


class AccessTokens:
    """Writes and reads the JWTs of one gateway, with one algorithm.

    Reading raises AuthError (403 bad_jwt) with GoTrue's messages. The project's keys are accepted
    too, with any algorithm: a hosted project's gateway exchanges them for tokens that Auth accepts.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._algorithm = "HS256"
        self._signing: str | EllipticCurvePrivateKey = config.jwt_secret
        self._verifying: Any = config.jwt_secret
        self._kid: dict[str, str] = {}
        self.jwks: dict[str, list[dict[str, Any]]] = {"keys": []}
        if config.signing_key is not None:
            self._use_es256(config.signing_key)

    def write(self, claims: dict[str, Any]) -> str:
        """Return the signed token of these claims."""
        return jwt.encode(claims, self._signing, algorithm=self._algorithm, headers=self._kid)

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this gateway signed and that has not expired."""
        with suppress(KeyRefused):
            return {"role": check_api_key(self._config, {"apikey": token}, {})}
        if token.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
            message = "is malformed: token contains an invalid number of segments"
            raise bad_jwt(_UNVERIFIED + message)
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            if algorithm != self._algorithm:
                message = f"signature is invalid: signing method {algorithm} is invalid"
                raise bad_jwt(_UNVERIFIED + message)
            return jwt.decode(
                token,
                self._verifying,
                algorithms=[self._algorithm],
                options={"verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise bad_jwt(_UNVERIFIED + "has invalid claims: token is expired") from None
        except jwt.InvalidSignatureError:
            raise bad_jwt(_UNVERIFIED + "signature is invalid") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise bad_jwt(f"{_UNVERIFIED}is malformed: {type(error).__name__}") from None

    def _use_es256(self, pem: str) -> None:
        private = cast("EllipticCurvePrivateKey", load_pem_private_key(pem.encode(), None))
        public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        # Derived from the key itself, so that a restart with the same key has the same id.
        kid = str(uuid5(NAMESPACE_OID, f"{public['x']}.{public['y']}"))
        self._algorithm, self._signing, self._verifying = "ES256", private, private.public_key()
        self._kid = {"kid": kid}
        key = {**public, "alg": "ES256", "key_ops": ["verify"], "kid": kid, "use": "sig"}
        self.jwks = {"keys": [key]}
