"""What a process counts below its requests: defined here, and counted where it happens.

These metrics belong to the process, not to an application. If SHARED_FOLDER is in the environment
before this module is imported, all processes that inherit it count into files of that folder
instead, and one of them reports the sum. No label holds an id: its values come from code, never
from requests.
"""

import os
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# They would add a second series, the creation time, to each one.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable for the folder; prometheus_client reads it on import."""

PROCESS: Final = CollectorRegistry()
"""The metrics of this module; empty if they are in files."""

_registry = None if SHARED_FOLDER in os.environ else PROCESS

SUPABASE_CALLS: Final = Histogram(
    "supabase_call_duration_seconds",
    "Calls of Supabase. kind: auth, table, function, storage. outcome: ok, refused (4xx), "
    "failed (5xx), unanswered, or not_sent if a breaker was open or no slot was free.",
    ("kind", "outcome"),
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3),
    registry=_registry,
)
BREAKER_OPEN: Final = Gauge(
    "breaker_open",
    "1 until a breaker's server has answered again; the next call finds out.",
    ("breaker",),
    multiprocess_mode="livemax",
    registry=_registry,
)
BREAKER_OPENINGS: Final = Counter(
    "breaker_openings_total",
    "How often a breaker opened, and again after each probe that failed.",
    ("breaker",),
    registry=_registry,
)
JOB_ATTEMPTS: Final = Histogram(
    "jobs_attempt_duration_seconds",
    "Attempts of jobs. result: succeeded, retried, failed (a dead letter).",
    ("name", "result"),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    registry=_registry,
)
JOBS_LOST: Final = Counter(
    "jobs_lost_total",
    "Runs that never ended: their process died too often, or no worker knows the job.",
    ("name",),
    registry=_registry,
)
MESSAGES_REFUSED: Final = Counter(
    "jobs_messages_refused_total",
    "Messages of the broker that are none of ours; they are kept there as dead letters.",
    registry=_registry,
)
MAILS: Final = Counter(
    "mails_total",
    "Mails. kind: slice/template. result: sent, refused, unavailable (retried), or capped if the "
    "inbox has enough of them.",
    ("kind", "result"),
    registry=_registry,
)
RELAYED_EVENTS: Final = Counter(
    "relay_events_total",
    "Events that the relay settled. result: delivered, waiting (for cache or broker), unreadable.",
    ("result",),
    registry=_registry,
)
RELAY_FAILURES: Final = Counter(
    "relay_failures_total",
    "Failed calls of the relay. to: database, cache, broker.",
    ("to",),
    registry=_registry,
)
SLOTS: Final = Counter(
    "beat_slots_total",
    "Slots of scheduled jobs that were due. result: put, known (another beat was faster), failed.",
    ("name", "result"),
    registry=_registry,
)
LIVE_SOCKETS: Final = Gauge(
    "live_sockets",
    "Open clients of live updates. kind: websocket, sse.",
    ("kind",),
    multiprocess_mode="livesum",
    registry=_registry,
)
LIVE_MESSAGES: Final = Counter(
    "live_messages_total",
    "Messages for clients of live updates. result: sent, or conflated with a newer one.",
    ("result",),
    registry=_registry,
)
LIVE_CLOSED: Final = Counter(
    "live_closed_total",
    "Closed clients of live updates, by kind and close code (other: a code of the client's own).",
    ("kind", "code"),
    registry=_registry,
)
HEARTBEAT: Final = Gauge(
    "heartbeat_timestamp_seconds",
    "When worker, relay or beat last reported that it works.",
    multiprocess_mode="livemax",
    registry=_registry,
)
