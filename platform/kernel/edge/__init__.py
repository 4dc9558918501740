"""The Edge: the one layer that every request passes first, and where the caller is decided."""

from kernel.edge.edge import Edge
from kernel.edge.recorder import RequestRecorder
from kernel.edge.services import EdgeServices

__all__ = ["Edge", "EdgeServices", "RequestRecorder"]
