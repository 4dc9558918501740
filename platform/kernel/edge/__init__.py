"""The Edge: the one layer that every request passes first, and where the caller is decided."""

from kernel.edge.edge import Edge
from kernel.edge.parts import Parts
from kernel.edge.record import Record

__all__ = ["Edge", "Parts", "Record"]
