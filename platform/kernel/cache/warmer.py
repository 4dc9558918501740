"""Cache warming: store a new caller's first reads before they are requested."""

from abc import ABC, abstractmethod


class CacheWarmer(ABC):
    """Stores the cached reads that belong to one caller and have no other parameter."""

    @abstractmethod
    async def warm(self, token: str) -> None:
        """Store the reads of the caller with this access token; never raises."""
