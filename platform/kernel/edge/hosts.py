"""The Host names under which the API answers."""

from collections.abc import Iterable


class Hosts:
    """Allowed Host headers: exact names, `*.example.com` for its subdomains, `*` for any.

    Ports are ignored. A request with no Host header, or with two, has no valid host.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        names = [name.lower() for name in allowed]
        self.any = "*" in names
        self._exact = frozenset(name for name in names if not name.startswith("*"))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def admits(self, header: bytes) -> bool:
        """Whether this value of a Host header is allowed."""
        text = header.decode("latin-1").lower()
        name = text[: text.rfind("]") + 1] if text.startswith("[") else text.partition(":")[0]
        return self.any or name in self._exact or name.endswith(self._below)
