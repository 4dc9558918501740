"""Puts messages into the broker, and takes from it what is one of ours; all else is a dead letter.

Whoever can write to the broker could otherwise end the worker by a line that is no JSON, or keep it
busy for ever with a message that cannot be performed.
"""

import base64
import binascii
import logging
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from celery.app.amqp import task_message
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
_AT_ONCE: Final = 1000  # messages a command: the broker answers it within a publisher's timeout

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
    """A channel, whose clients look at what they take; it can put many messages at once."""

    def put_all(self, queue: str, tasks: Sequence[task_message], *, first: bool) -> None:
        """Put tasks into a queue, `first` at its front: a command for each thousand.

        The usual way of Celery and kombu takes a round trip and ten times the CPU time for each.
        """
        packed = [self._packed(queue, task) for task in tasks]
        put = self.client.rpush if first else self.client.lpush
        key = self._q_for_pri(queue, self.default_priority)
        for begin in range(0, len(packed), _AT_ONCE):
            put(key, *packed[begin : begin + _AT_ONCE])

    def _packed(self, queue: str, task: task_message) -> str:
        message = self.prepare_message(
            dumps(task.body),
            content_type="application/json",
            content_encoding="utf-8",
            headers=task.headers,
            properties=task.properties,
        )
        self._inplace_augment_message(message, "", queue)
        return str(dumps(message))

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
