"""Live updates: topics that slices declare, one stream of changes, and the clients that follow it.

See docs/LIVE.md.
"""

from kernel.live.client import LiveClient
from kernel.live.clients import LiveClients, LiveUnavailable, TooManySockets, TopicNotFound
from kernel.live.hub import Hub
from kernel.live.stream import LiveStream
from kernel.live.topic import Topic, Topics

__all__ = [
    "Hub",
    "LiveClient",
    "LiveClients",
    "LiveStream",
    "LiveUnavailable",
    "TooManySockets",
    "Topic",
    "TopicNotFound",
    "Topics",
]
