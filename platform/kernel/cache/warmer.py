"""Cache warming: a new caller's first reads are stored before they are asked for."""

from abc import ABC, abstractmethod


class CacheWarmer(ABC):
    """Stores the cached reads that are a caller's own and take nothing but the caller."""

    @abstractmethod
    async def warm(self, token: str) -> None:
        """Store the reads of the caller with this access token; never raises."""
