"""The names under which the API answers."""

from collections.abc import Iterable


class Hosts:
    """Which Host headers are admitted: exact names, `*.example.com` for all below it, `*` for any.

    Ports do not count. A request without the header, or with two, names no host.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        names = [name.lower() for name in allowed]
        self.any = "*" in names
        self._exact = frozenset(name for name in names if not name.startswith("*"))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def admits(self, header: bytes) -> bool:
        """Whether this value of a Host header names one of them."""
        text = header.decode("latin-1").lower()
        name = text[: text.rfind("]") + 1] if text.startswith("[") else text.partition(":")[0]
        return self.any or name in self._exact or name.endswith(self._below)
