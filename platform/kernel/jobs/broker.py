"""The Celery application and its settings, for publishers and workers."""

import logging
import math
import ssl
from typing import Any, Final
from urllib.parse import quote

from celery import Celery
from kombu.entity import Exchange, Queue

from kernel.config.settings import Settings, SettingsError
from kernel.jobs.job import QUEUES, Job
from kernel.jobs.table import JobTable
from kernel.jobs.transport import install

log = logging.getLogger(__name__)

SAFETY_SECONDS: Final = 60
_PUBLISH_TIMEOUT_SECONDS: Final = 0.5
_READ_TIMEOUT_SECONDS: Final = 10.0


def celery_app(settings: Settings) -> Celery:
    """Return the application with this project's settings; the worker adds the jobs.

    It connects at its first use, so an unavailable broker raises nothing here.
    """
    install()
    app = Celery(settings.app_name, broker=broker_url(settings), set_as_current=False)
    app.conf.update(
        # A message is acknowledged when its run has ended. If its process is lost, or does not stop
        # in time, another worker gets the message; the record in the database prevents a
        # repetition.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        task_default_queue=QUEUES[0],
        task_create_missing_queues=False,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_enable_prefetch_count_reduction=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_max_tasks_per_child=settings.worker_max_tasks_per_child,
        worker_max_memory_per_child=_kibibytes(settings.worker_max_memory_per_child_mb),
        broker_connection_timeout=_PUBLISH_TIMEOUT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout_seconds,
            # Look every 10 s for messages past the visibility timeout.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "socket_connect_timeout": _PUBLISH_TIMEOUT_SECONDS,
            "socket_timeout": _READ_TIMEOUT_SECONDS,
        },
        timezone="UTC",
        enable_utc=True,
    )
    if settings.broker_tls or (settings.broker_host is None and settings.redis_tls):
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return app


def _kibibytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * 1000 * 1000 // 1024


def publish_options() -> dict[str, Any]:
    """Return the transport options of a publisher: it gives up without retries."""
    return {
        "socket_timeout": _PUBLISH_TIMEOUT_SECONDS,
        "max_retries": 0,
        "retry_on_timeout": False,
    }


def broker_url(settings: Settings) -> str:
    """Return the broker's URL; without BROKER_HOST, warn and return the cache's."""
    if settings.broker_host is None:
        log.warning(
            "BROKER_HOST is not set: jobs are queued in the cache, which may evict them. Set it to "
            "a separate Redis without eviction."
        )
        host, port, db = settings.redis_host, settings.redis_port, settings.redis_db
        user, secret, tls = settings.redis_username, settings.redis_password, settings.redis_tls
    else:
        host, port, db = settings.broker_host, settings.broker_port, settings.broker_db
        user, secret, tls = settings.broker_username, settings.broker_password, settings.broker_tls
    password = secret.get_secret_value() if secret else ""
    secrets = f"{quote(user or '', safe='')}:{quote(password, safe='')}@"
    host = f"[{host}]" if ":" in host else host
    place = f"{secrets if user or password else ''}{host}:{port}/{db}"
    return f"{'rediss' if tls else 'redis'}://{place}"


def require_visibility_timeout(settings: Settings, jobs: JobTable) -> None:
    """Raise SettingsError if the broker would redeliver the message of a job that still runs.

    The visibility timeout must exceed the sum of a job's hard limit, its longest backoff, the
    worker's shutdown grace and one minute: a message may stay unacknowledged for that long.
    https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html
    """

    def needed(one: Job) -> float:
        spent = (one.hard_limit + one.longest_delay).total_seconds()
        return spent + settings.worker_grace_seconds + SAFETY_SECONDS

    faults = [
        f"  {one.name} needs more than {math.ceil(needed(one))} s: limit "
        f"{one.hard_limit.total_seconds():.0f}, backoff {one.longest_delay.total_seconds():.0f}, "
        f"WORKER_GRACE_SECONDS {settings.worker_grace_seconds:.0f}, safety {SAFETY_SECONDS}"
        for one in jobs.by_name.values()
        if settings.visibility_timeout_seconds <= needed(one)
    ]
    if faults:
        raise SettingsError(
            f"VISIBILITY_TIMEOUT_SECONDS is {settings.visibility_timeout_seconds}, which is too "
            "short: a second worker would get a job that still runs.\n"
            + "\n".join(faults)
            + "\nRaise VISIBILITY_TIMEOUT_SECONDS, or lower the timeout or backoff of these jobs."
        )
