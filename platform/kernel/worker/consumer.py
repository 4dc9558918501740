"""The worker's broker connection: how messages survive its loss."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery.worker import state
from celery.worker.consumer import Consumer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from kernel.worker.tasks import UNKNOWN

log = logging.getLogger(__name__)

_RECONNECT_SECONDS: Final = 3


def _or_reconnect(
    answer: Callable[..., None], _: object, errors: tuple[type[Exception], ...], *arguments: bool
) -> None:
    """Acknowledge or reject a message; raise if that fails.

    Celery only logs the failure. The message would then stay unacknowledged until the visibility
    timeout, and reduce the number of messages that the worker takes. The error makes the worker
    reconnect, which returns the message to the queue; its run is recorded as done.
    """
    try:
        answer(*arguments)
    except errors as error:
        log.warning("A message was not acknowledged", extra={"reason": repr(error)})
        raise
    except ReadOnlyError as error:  # the server has become a replica
        log.warning("A message was not acknowledged", extra={"reason": repr(error)})
        raise RedisConnectionError(str(error)) from error


class JobConsumer(Consumer):
    """Celery's consumer, which reconnects soon, returns its messages, and drops none."""

    controller: Any
    task_consumer: Any
    _held: frozenset[str] = frozenset()

    def create_task_handler(self, *arguments: Any, **options: Any) -> Any:
        """Return the message handler, with acknowledgements that raise when they fail."""
        take = super().create_task_handler(*arguments, **options)

        def received(message: Any) -> None:
            message.ack_log_error = partial(_or_reconnect, message.ack)
            message.reject_log_error = partial(_or_reconnect, message.reject)
            take(message)

        return received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Remember the messages that were delivered over the lost connection."""
        if self.task_consumer is not None:
            self._held |= frozenset(self.task_consumer.channel.qos._delivered)  # noqa: SLF001 - kombu has no name for it
        super().on_connection_error_after_connected(exc)

    def on_ready(self) -> None:
        """Return the messages of the lost connection to the queue.

        kombu does this when a connection is cut. If the broker itself was down, it could not, and
        the messages would wait for the visibility timeout. A run that is still in progress here is
        `busy`.
        """
        super().on_ready()
        for tag in self._held:
            self.task_consumer.channel.qos.restore_by_tag(tag)
        self._held = frozenset()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Pass the message of an unknown job to a task that records it, instead of dropping it."""
        message.headers["job"], message.headers["task"] = message.headers["task"], UNKNOWN
        self.create_task_handler()(message)

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection when it is open; retry every few seconds without a limit."""

        def failed(error: Exception, _: float) -> None:
            log.warning("The broker is away", extra={"reason": repr(error)})

        def waiting() -> None:
            self.controller.beat_each()
            state.maybe_shutdown()

        return conn.ensure_connection(
            failed,
            None,
            interval_start=1,
            interval_step=1,
            interval_max=_RECONNECT_SECONDS,
            callback=waiting,
        )
