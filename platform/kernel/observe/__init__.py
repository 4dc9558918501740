"""Logs, metrics, readiness and heartbeats: how operators observe the processes."""

from kernel.observe.logs import configure_logging
from kernel.observe.metrics import Metrics
from kernel.observe.operations import Operations
from kernel.observe.pings import Pings
from kernel.observe.readiness import Readiness

__all__ = ["Metrics", "Operations", "Pings", "Readiness", "configure_logging"]
