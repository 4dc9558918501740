"""Publishes runs of jobs to the broker."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.app.amqp import task_message
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from kernel.jobs.broker import publish_options
from kernel.jobs.job import QUEUES
from kernel.jobs.table import JobTable, Message


class BrokerUnavailable(Exception):
    """The broker does not accept messages."""


class Publisher:
    """A connection to the broker for one thread at a time; it gives up after 0.5 s."""

    def __init__(self, app: Celery, jobs: JobTable) -> None:
        self._app, self._jobs = app, jobs
        self._connection: Any = None

    async def publish(self, messages: Sequence[Message], *, first: bool = False) -> None:
        """Publish runs without blocking the event loop, `first` at the front of their queues.

        Raises BrokerUnavailable; some runs may be published by then. Publishing again does no harm.
        """
        if messages:
            await asyncio.to_thread(self.send, messages, first=first)

    def send(
        self, messages: Sequence[Message], *, after: timedelta | None = None, first: bool = False
    ) -> None:
        """Publish runs, immediately or with a delay. Raises BrokerUnavailable."""
        tasks: dict[str, list[task_message]] = {}
        for message in messages:
            job = self._jobs.by_name.get(message.job)
            tasks.setdefault(job.queue if job else QUEUES[0], []).append(self._task(message, after))
        try:
            channel = self._connected().default_channel
            for queue, of_queue in tasks.items():
                channel.put_all(queue, of_queue, first=first)
        except (OperationalError, RedisError, OSError) as error:
            self.close()
            raise BrokerUnavailable(repr(error)) from error

    def _task(self, message: Message, after: timedelta | None) -> task_message:
        task: task_message = self._app.amqp.as_task_v2(
            str(message.run_id),
            message.job,
            kwargs={"event_id": message.event_id, "item": message.item},
            countdown=after.total_seconds() if after else None,
            ignore_result=True,
        )
        if message.traceparent:
            task.headers["traceparent"] = message.traceparent
        return task

    async def idle(self) -> bool:
        """Return whether all queues are empty. Raises BrokerUnavailable."""
        return await asyncio.to_thread(self._idle)

    def _idle(self) -> bool:
        try:
            client = self._connected().default_channel.client
            return not any(client.llen(queue) for queue in QUEUES)
        except (OperationalError, RedisError, OSError) as error:
            self.close()
            raise BrokerUnavailable(repr(error)) from error

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._connection is not None:
            self._connection.release()
            self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            options = self._app.conf.broker_transport_options | publish_options()
            self._connection = self._app.connection_for_write(transport_options=options)
        return self._connection
