"""What the application counts, for Prometheus: requests, cache, limits, jobs and outbox."""

from kernel.metrics.endpoint import PATH, metrics_endpoint
from kernel.metrics.metrics import Metrics
from kernel.metrics.operations import Operations

__all__ = ["PATH", "Metrics", "Operations", "metrics_endpoint"]
