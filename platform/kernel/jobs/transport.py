"""Puts messages into the broker, and takes from it what is one of ours; all else is a dead letter.

Whoever can write to the broker could otherwise end the worker by a line that is no JSON, or keep it
busy for ever with a message that cannot be performed.
"""

import base64
import binascii
import logging
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from kombu import transport
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import Transport as RedisTransport
from kombu.utils.json import dumps
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from kernel.core.metrics import MESSAGES_REFUSED
from kernel.jobs.unreadable import DEAD_LETTERS, KEPT, entry

log = logging.getLogger(__name__)

_LONGEST: Final = 64 * 1024
FIRST: Final = "first"
"""The header of a message that goes to the front of its queue."""

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]


class _Arguments(BaseModel):
    event_id: int = Field(ge=0, lt=2**63, strict=True)
    item: int = Field(ge=0, lt=2**31, strict=True)


class _Headers(BaseModel):
    task: _Name
    id: UUID
    eta: AwareDatetime | None = None
    expires: None = None
    retries: Literal[0] = 0
    timelimit: tuple[None, None] = (None, None)


class _Delivery(BaseModel):
    exchange: str
    routing_key: _Name


class _Properties(BaseModel):
    delivery_tag: Annotated[str, Field(min_length=1, max_length=100, strict=True)]
    body_encoding: Literal["base64"]
    delivery_info: _Delivery


class _Message(BaseModel):
    body: str
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


# Celery's protocol 2: positional arguments, named ones, and what chains and the like would need.
_BODY: Final = TypeAdapter(tuple[tuple[()], _Arguments, dict[str, None]])


def install() -> None:
    """Let Celery use this transport in this process."""
    for scheme in ("redis", "rediss"):
        transport.TRANSPORT_ALIASES[scheme] = f"{__name__}:JobTransport"


def is_message(raw: bytes) -> bool:
    """Tell whether this is a message as the relay publishes it, or as a worker gives it back."""
    if len(raw) > _LONGEST:
        return False
    try:
        message = _Message.model_validate_json(raw)
        _BODY.validate_json(base64.b64decode(message.body, validate=True))
    except (ValidationError, binascii.Error, ValueError):
        return False
    return True


class JobTransport(RedisTransport):
    """kombu's transport, whose channels look at what they take."""


class JobChannel(RedisChannel):
    """A channel, whose clients look at what they take; it can put messages to the front."""

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        if not message["headers"].get(FIRST):
            super()._put(queue, message, **options)
            return
        with self.conn_or_acquire() as client:
            client.rpush(self._q_for_pri(queue, self.default_priority), dumps(message))

    def _get_client(self) -> Any:
        return _client(super()._get_client())


JobTransport.Channel = JobChannel


def _client(base: Any) -> Any:  # kombu chooses the class by the connection's options
    class Client(base):
        def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
            try:
                answer = super().parse_response(connection, command_name, **options)
            except ResponseError as error:
                if command_name != "BRPOP" and not isinstance(error, ReadOnlyError):
                    raise
                # UNBLOCKED or READONLY: the server has become a replica. Only an error of the
                # connection makes the worker connect again, to whatever is the broker then.
                raise RedisConnectionError(f"{command_name}: {error}") from error
            if command_name != "BRPOP" or not answer:
                return answer
            queue, raw = answer
            if is_message(raw):
                return answer
            log.error(
                "dead letter",
                extra={"queue": queue.decode(), "bytes": len(raw), "reason": "no message of ours"},
            )
            MESSAGES_REFUSED.inc()
            self.lpush(DEAD_LETTERS, entry(queue.decode(), raw))
            self.ltrim(DEAD_LETTERS, 0, KEPT - 1)
            return None

    return Client
