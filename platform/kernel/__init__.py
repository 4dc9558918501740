"""The primitives that slices build on."""

import warnings

from kernel.adapter import Adapter
from kernel.feature import Feature
from kernel.limits.policy import Limit
from kernel.live import Topic

# svcs imports FastAPI's test client for a type; the client warns about its httpx version.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")

__all__ = ["Adapter", "Feature", "Limit", "Topic"]
