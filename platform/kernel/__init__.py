"""The primitives that features register against."""

from kernel.feature import Feature

__all__ = ["Feature"]
