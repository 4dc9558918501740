"""The worker's side of the broker connection: what is lost with it, and how it comes back."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery.worker import state
from celery.worker.consumer import Consumer

from kernel.worker.tasks import UNKNOWN

log = logging.getLogger(__name__)

_RECONNECT_SECONDS: Final = 3


def _or_reconnect(
    answer: Callable[..., None], _: object, errors: tuple[type[Exception], ...], *arguments: bool
) -> None:
    """Acknowledge or reject a message; where that fails, say so by the error.

    Celery only logs it. The message would then count as being worked on until the visibility
    timeout, and the worker take one message less at a time; the error makes it reconnect, which
    gives the message back: its run is known to be done.
    """
    try:
        answer(*arguments)
    except errors as error:
        log.warning("A message was not acknowledged", extra={"reason": repr(error)})
        raise


class JobConsumer(Consumer):
    """Celery's consumer, which comes back soon, gives back what it held, and drops nothing."""

    controller: Any
    task_consumer: Any
    _held: frozenset[str] = frozenset()

    def create_task_handler(self, *arguments: Any, **options: Any) -> Any:
        """Return what takes a message in, with acknowledgements that do not fail in silence."""
        take = super().create_task_handler(*arguments, **options)

        def received(message: Any) -> None:
            message.ack_log_error = partial(_or_reconnect, message.ack)
            message.reject_log_error = partial(_or_reconnect, message.reject)
            take(message)

        return received

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Remember what was delivered over the connection that is lost."""
        if self.task_consumer is not None:
            self._held |= frozenset(self.task_consumer.channel.qos._delivered)  # noqa: SLF001 - kombu has no name for it
        super().on_connection_error_after_connected(exc)

    def on_ready(self) -> None:
        """Give back what the lost connection had delivered.

        kombu does so itself when a connection is cut; a broker that was down could not take it,
        and would keep it until the visibility timeout. What still runs here is found busy.
        """
        super().on_ready()
        for tag in self._held:
            self.task_consumer.channel.qos.restore_by_tag(tag)
        self._held = frozenset()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Hand a job that is not known here to a task that keeps it, instead of dropping it."""
        message.headers["job"], message.headers["task"] = message.headers["task"], UNKNOWN
        self.create_task_handler()(message)

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once it is there, after any time; it tries every few seconds."""

        def failed(error: Exception, _: float) -> None:
            log.warning("The broker is away", extra={"reason": repr(error)})

        def waiting() -> None:
            self.controller.heartbeat.beat()
            state.maybe_shutdown()

        return conn.ensure_connection(
            failed,
            None,
            interval_start=1,
            interval_step=1,
            interval_max=_RECONNECT_SECONDS,
            callback=waiting,
        )
