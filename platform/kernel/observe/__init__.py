"""Logs, metrics, readiness and heartbeats: how operators observe the processes."""

from kernel.observe.logs import configure_logging
from kernel.observe.metrics import Metrics
from kernel.observe.operations import Operations
from kernel.observe.pings import Pings
from kernel.observe.readiness import Readiness
from kernel.observe.unexpected import Observer, Unexpected

__all__ = [
    "Metrics",
    "Observer",
    "Operations",
    "Pings",
    "Readiness",
    "Unexpected",
    "configure_logging",
]
