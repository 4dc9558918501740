"""The Edge: the outermost layer; it authenticates, limits and answers cached reads."""

from kernel.edge.edge import Edge
from kernel.edge.recorder import RequestRecorder
from kernel.edge.services import EdgeServices

__all__ = ["Edge", "EdgeServices", "RequestRecorder"]
