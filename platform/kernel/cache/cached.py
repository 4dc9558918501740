"""The declaration of a cached read: its key, its lifetime, its audience and its events."""

import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel.core.durations import hours, minutes, seconds

if TYPE_CHECKING:
    from kernel.events import Event

PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
OWN_ID: Final = "user_id"
LONGEST: Final = hours(40)  # tag versions live 48 hours, and must outlive every value
SPREAD: Final = 0.11  # ±11 %, so that values stored together do not expire together
_MOST_KEYS: Final = 1000
_STALE: Final = minutes(10)
_MISSING: Final = seconds(30)
_ATTRIBUTE: Final = "__cached_reads__"

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Audience(Enum):
    """The callers that share a stored response, and the identity that it is loaded with."""

    EVERYONE = "everyone"
    EVERY_CALLER = "every caller"
    ONE_CALLER = "one caller"


everyone: Final = Audience.EVERYONE
"""Every caller, with or without a token. The response is loaded as `anon`, so that row security
decides what may be shared. If that finds nothing and the caller has a token, the handler runs again
as the caller; that response is not cached."""

every_caller: Final = Audience.EVERY_CALLER
"""All callers that have a token and no role. The response is loaded as the first of them."""

one_caller: Final = Audience.ONE_CALLER
"""One caller, whose id is `{user_id}` in the key."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cached:
    """A cached read: `Cached("post:{post_id}", ttl=minutes(30), audience=everyone, drop_on=(…,))`.

    Placeholders of the key are parameters of the route, separated by colons. An event of `drop_on`
    drops the values whose placeholders equal the event's fields. A placeholder that is not a field
    of the event matches every value: PostChanged(post_id=…) drops all of `posts:page:{page}`.
    `where` limits which parameter values are cached at all: `{"page": range(1, 101)}`. After `ttl`,
    a response is still served for `stale`, while it is reloaded or cannot be reloaded. A 404 is
    cached for `missing`. All three durations vary by 11 %, so that values that were stored together
    do not expire together.
    """

    key: str = field(kw_only=False)
    ttl: timedelta
    audience: Audience
    drop_on: "tuple[type[Event], ...]" = ()
    where: Mapping[str, Container[object]] = field(default_factory=dict)
    stale: timedelta = _STALE
    missing: timedelta = _MISSING
    _keys: dict[frozenset[str], list[str]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for a declaration that cannot work."""
        for part in self.key.split(":"):
            if ("{" in part or "}" in part) and not PLACEHOLDER.fullmatch(part):
                raise ValueError(f"{self.key} joins {part}: two values could make one key; use ':'")
        if (self.ttl + self.stale) * (1 + SPREAD) > LONGEST:
            raise ValueError(f"{self.key} is kept for longer than {LONGEST}: tag versions expire")
        if self.audience is one_caller and OWN_ID not in self.placeholders:
            raise ValueError(f"{self.key} is for one caller: add {{{OWN_ID}}} to the key")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names of the placeholders in the key."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall(self.key)))

    def serves(self, function: _Function) -> _Function:
        """Declare that a route serves this cached read: a decorator, below that of the route.

        If a route has several, the first one whose audience includes the caller applies.
        """
        setattr(function, _ATTRIBUTE, (self, *reads_of(function)))
        return function

    def tag(self, event: "Event") -> str:
        """Return the tag whose version this event changes."""
        return self._filled(event.model_dump(mode="json"), self.key)

    def keys(self, event: "Event") -> Iterator[str]:
        """Yield the keys that this event drops: none if `where` does not list a placeholder."""
        fields = event.model_dump(mode="json")
        known = {name: fields[name] for name in self.placeholders if name in fields}
        for key in self._listed(frozenset(known)):
            yield self._filled(known, key) if known else key

    def tags(self, values: Mapping[str, object]) -> list[str]:
        """Return the tags that drop the value with these placeholder values."""
        fields = [set(event.model_fields) for event in self.drop_on]
        return list(
            dict.fromkeys(
                self._filled(
                    {name: item for name, item in values.items() if name in known}, self.key
                )
                for known in fields
            )
        )

    def _listed(self, known: frozenset[str]) -> list[str]:
        """Return a key for each listed value of the placeholders that an event does not have.

        The others stay placeholders. It is computed once: a list has hundreds of keys, and each
        write drops them all.
        """
        if known not in self._keys:
            open_ones = [name for name in self.placeholders if name not in known]
            kept = [self.where.get(name, ()) for name in open_ones]
            listed = [one for one in kept if isinstance(one, Collection)]
            if len(listed) < len(kept) or prod(map(len, listed)) > _MOST_KEYS:
                self._keys[known] = []
            else:
                own = {name: f"{{{name}}}" for name in known}
                self._keys[known] = [
                    self._filled(own | dict(zip(open_ones, values, strict=True)), self.key)
                    for values in product(*listed)
                ]
        return self._keys[known]

    @staticmethod
    def _filled(values: Mapping[str, object], key: str) -> str:
        return PLACEHOLDER.sub(lambda found: written(values.get(found[1], "*")), key)


def reads_of(function: Callable[..., Any]) -> tuple[Cached, ...]:
    """Return the cached reads that a route's function serves."""
    found: tuple[Cached, ...] = getattr(function, _ATTRIBUTE, ())
    return found


def written(value: object) -> str:
    """Return a value as written in keys, and in the URLs of canonical requests; None is empty."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
