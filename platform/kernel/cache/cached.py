"""What a slice declares of a cached read: its key, its age, who shares it and what drops it."""

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kernel.core.durations import hours, minutes, seconds

if TYPE_CHECKING:
    from kernel.events import Event

PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
OWN_ID: Final = "user_id"
LONGEST: Final = hours(40)  # stamps live 48 hours, and must outlive every value
SPREAD: Final = 0.11  # so that a thousand stored together fill a tenth to either side
_STALE: Final = minutes(10)
_MISSING: Final = seconds(30)
_ATTRIBUTE: Final = "__cached_reads__"

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Audience(Enum):
    """Who shares a stored answer, and so as whom it is loaded."""

    EVERYONE = "everyone"
    EVERY_CALLER = "every caller"
    ONE_CALLER = "one caller"


everyone: Final = Audience.EVERYONE
"""With or without a token. Loaded as nobody (`anon`), so that row security decides what may be
shared; where that finds nothing and there is a token, the caller is answered apart, unstored."""

every_caller: Final = Audience.EVERY_CALLER
"""All who have a token and no role. Loaded as the one who asks first."""

one_caller: Final = Audience.ONE_CALLER
"""The caller alone, whose id is `{user_id}` in the key."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cached:
    """A cached read: `Cached("post:{post_id}", ttl=minutes(30), audience=everyone, drop_on=(…,))`.

    Placeholders of the key are parameters of the route, parted by colons. An event of `drop_on`
    drops the value whose placeholders have the values of its fields; those that it does not have
    stand for every value: PostChanged(post_id=…) drops all of `posts:page:{page}`.
    `where` says for which values of parameters it is kept at all: `{"page": range(1, 101)}`.
    An answer older than `ttl` is given for another `stale` while it is loaded anew, or cannot be.
    That something is not there (404) is kept for `missing`. All of them are spread by a tenth to
    either side, so that what was stored together does not go together.
    """

    key: str = field(kw_only=False)
    ttl: timedelta
    audience: Audience
    drop_on: "tuple[type[Event], ...]" = ()
    where: Mapping[str, Container[object]] = field(default_factory=dict)
    stale: timedelta = _STALE
    missing: timedelta = _MISSING

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        for part in self.key.split(":"):
            if ("{" in part or "}" in part) and not PLACEHOLDER.fullmatch(part):
                raise ValueError(f"{self.key} joins {part}: two values could give one key; use ':'")
        if (self.ttl + self.stale) * (1 + SPREAD) > LONGEST:
            raise ValueError(f"{self.key} is kept for longer than {LONGEST}: stamps would not be")
        if self.audience is one_caller and OWN_ID not in self.placeholders:
            raise ValueError(f"{self.key} has one caller, and no {{{OWN_ID}}} that says which")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in the key."""
        return tuple(dict.fromkeys(PLACEHOLDER.findall(self.key)))

    def serves(self, function: _Function) -> _Function:
        """Declare that a route's answers are cached here: a decorator, below that of the route.

        With several of them the first that applies to the caller counts.
        """
        setattr(function, _ATTRIBUTE, (self, *reads_of(function)))
        return function

    def tag(self, event: "Event") -> str:
        """Return the tag whose stamp this event changes."""
        return self._filled(event.model_dump(mode="json"))

    def tags(self, values: Mapping[str, object]) -> list[str]:
        """Return the tags that drop the value which has these values for its placeholders."""
        fields = [set(event.model_fields) for event in self.drop_on]
        return list(
            dict.fromkeys(
                self._filled({name: item for name, item in values.items() if name in known})
                for known in fields
            )
        )

    def _filled(self, values: Mapping[str, object]) -> str:
        return PLACEHOLDER.sub(lambda found: written(values.get(found[1], "*")), self.key)


def reads_of(function: Callable[..., Any]) -> tuple[Cached, ...]:
    """Return the cached reads that a route's function serves."""
    found: tuple[Cached, ...] = getattr(function, _ATTRIBUTE, ())
    return found


def written(value: object) -> str:
    """Return a value as it stands in keys, and in the addresses of canonical requests."""
    return str(value).lower() if isinstance(value, bool) else str(value)
