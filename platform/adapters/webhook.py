"""Sends events to your own system by HTTP; disabled until WEBHOOK_URL is set."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from typing import Annotated, Final
from uuid import UUID

import httpx
from pydantic import AfterValidator, HttpUrl, SecretStr
from pydantic_settings import SettingsConfigDict

from kernel import Adapter
from kernel.config import OwnSettings
from kernel.errors import Permanent, Temporary, Unavailable
from kernel.events import Event
from kernel.jobs import seconds

_MAY_SUCCEED_LATER: Final = frozenset({408, 425, 429})
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500
_PREFIX: Final = "whsec_"
_KEY_BYTES: Final = 24


def _key(secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        return b""


def _strong(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value().startswith(_PREFIX) or len(_key(secret)) < _KEY_BYTES:
        raise ValueError(f"must be {_PREFIX} and at least {_KEY_BYTES} bytes in base64")
    return secret


class WebhookSettings(OwnSettings):
    """WEBHOOK_URL and WEBHOOK_SECRET."""

    model_config = SettingsConfigDict(env_prefix="WEBHOOK_")

    url: HttpUrl | None = None
    secret: Annotated[SecretStr, AfterValidator(_strong)] | None = None


class WebhookUnavailable(Unavailable, Temporary):
    """The other system did not accept the message; a retry may help."""


class Webhook:
    """Posts events as JSON, signed by the Standard Webhooks specification if there is a secret.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    def __init__(self, settings: WebhookSettings, deadline: float) -> None:
        self._url, self._deadline = settings.url, deadline
        self._key = _key(settings.secret) if settings.secret else None
        self._http = httpx.AsyncClient(timeout=deadline) if settings.url else None

    async def post(self, event: Event, *, message_id: UUID) -> None:
        """Return when the other system has accepted the event; immediately without WEBHOOK_URL.

        A repeated message has the same id: pass the id of the job's run. Raises WebhookUnavailable
        if a retry may help, and Permanent if not.
        """
        data = event.model_dump_json()
        body = f'{{"type":"{event.topic}","data":{data}}}'.encode()
        headers = {"content-type": "application/json", **self._signed(str(message_id), body)}
        status = await self._send("POST", headers, body)
        if status is None:
            return
        if status >= _SERVER_ERROR or status in _MAY_SUCCEED_LATER:
            raise WebhookUnavailable
        if status >= _BAD_REQUEST:
            raise Permanent(f"WEBHOOK_URL refuses a message with {status}")

    async def up(self) -> bool | None:
        """Return whether the other system answers; None without WEBHOOK_URL."""
        try:
            status = await self._send("HEAD", {}, b"")
        except WebhookUnavailable:
            return False
        return None if status is None else status < _SERVER_ERROR

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _send(self, method: str, headers: dict[str, str], body: bytes) -> int | None:
        """Return the status of the response, without reading its body."""
        if self._http is None:
            return None
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._http.stream(method, str(self._url), headers=headers, content=body) as answer,
            ):
                return answer.status_code
        except (httpx.HTTPError, TimeoutError) as error:
            raise WebhookUnavailable from error

    def _signed(self, message_id: str, body: bytes) -> dict[str, str]:
        moment = str(int(time.time()))
        headers = {"webhook-id": message_id, "webhook-timestamp": moment}
        if self._key is not None:
            content = f"{message_id}.{moment}.".encode() + body
            digest = hmac.new(self._key, content, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


adapter = Adapter(
    client=Webhook,
    settings=WebhookSettings,
    make=Webhook,
    close=Webhook.aclose,
    deadline=seconds(5),
    ping=Webhook.up,
)
