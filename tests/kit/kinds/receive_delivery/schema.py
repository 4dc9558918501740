import base64
import binascii
import hashlib
import hmac
from typing import Annotated

from fastapi import Header
from pydantic import AfterValidator, BaseModel, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from kernel.config import OwnSettings

TOLERANCE = 5 * 60
"""Seconds between the time of a message and now; an older one may be a replay."""
KEY_BYTES = 24


def _key(secret: SecretStr) -> bytes:
    try:
        text = secret.get_secret_value().removeprefix("whsec_")
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _strong(secret: SecretStr) -> SecretStr:
    if len(_key(secret)) < KEY_BYTES:
        raise ValueError(f"must be whsec_ and at least {KEY_BYTES} bytes in base64")
    return secret


class ReceiveDeliverySettings(OwnSettings):
    """RECEIVE_DELIVERY_SECRET: what the other system signs with."""

    model_config = SettingsConfigDict(env_prefix="RECEIVE_DELIVERY_")

    secret: Annotated[SecretStr, AfterValidator(_strong)] | None = None


class Signed(BaseModel):
    """The headers of a signed message, by the Standard Webhooks specification.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    message_id: str
    timestamp: int
    signature: str

    def holds(self, secret: SecretStr, body: bytes, now: float) -> bool:
        """Return whether the secret's owner has signed this body, less than five minutes ago."""
        if abs(now - self.timestamp) > TOLERANCE:
            return False
        content = f"{self.message_id}.{self.timestamp}.".encode() + body
        digest = hmac.digest(_key(secret), content, hashlib.sha256)
        expected = b"v1," + base64.b64encode(digest)
        # A sender that changes its secret signs with both for a while. The comparison takes the
        # same time wherever two texts differ.
        found = [hmac.compare_digest(one.encode(), expected) for one in self.signature.split(" ")]
        return any(found)


MessageId = Annotated[str, Header(alias="webhook-id", pattern="^[!-~]{1,200}$")]
Timestamp = Annotated[int, Header(alias="webhook-timestamp", ge=0, le=10**11)]
Signature = Annotated[str, Header(alias="webhook-signature", pattern="^[ -~]{1,2000}$")]


class Received(BaseModel):
    """The answer to the sender; a repeated message gets the same."""

    message_id: str = Field(description="the message's own id, from the header webhook-id")
