"""Topics: what clients subscribe to, which event changes it, and who may know."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from kernel.cache.cached import OWN_ID, PLACEHOLDER, Audience, written
from kernel.core.caller import Caller
from kernel.events import Event


@dataclass(frozen=True, eq=False, kw_only=True)
class Topic:
    """A subject of live updates: `Topic("posts", on=PostChanged, audience=everyone)`.

    Each event of `on` is one message: the topic, and the event's fields as ids. Placeholders of the
    name are fields of the event, separated by colons: `user:{user_id}`. `audience` says who may
    subscribe: *everyone* also without a token, *every_caller* with one, *one_caller* only the user
    whose id is `{user_id}` in the name. The audience sees the ids of every event, also of rows that
    it cannot read: a topic for everyone on PostChanged shows that some draft was changed.
    """

    name: str = field(kw_only=False)
    on: type[Event]
    audience: Audience

    def __post_init__(self) -> None:
        """Raise ValueError for a declaration that cannot work."""
        for part in self.name.split(":"):
            if not part or (("{" in part or "}" in part) and not PLACEHOLDER.fullmatch(part)):
                raise ValueError(f"{self.name} has the part {part!r}: separate parts by ':'")
        if strange := [one for one in self.placeholders if one not in self.on.model_fields]:
            raise ValueError(f"{self.name}: {strange[0]} is not a field of {self.on.__name__}")
        if self.audience is Audience.ONE_CALLER and OWN_ID not in self.placeholders:
            raise ValueError(f"{self.name} is for one caller: add {{{OWN_ID}}} to the name")

    @property
    def placeholders(self) -> list[str]:
        """The names of the placeholders."""
        return PLACEHOLDER.findall(self.name)

    def named(self, ids: Mapping[str, object]) -> str:
        """Return the name with the fields of an event."""
        return PLACEHOLDER.sub(lambda found: written(ids[found[1]]), self.name)

    @property
    def shape(self) -> str:
        """The name with anonymous placeholders: two topics of the same shape are one."""
        return PLACEHOLDER.sub("{}", self.name)


class Topics:
    """All topics of the application."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._of_event: dict[type[Event], list[Topic]] = {}
        self._patterns: list[tuple[re.Pattern[str], Topic]] = []
        for one in topics:
            self._of_event.setdefault(one.on, []).append(one)
            self._patterns.append((_pattern(one), one))

    def changed(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield the names of the topics that the event changes, with its ids as JSON."""
        for topic in self._of_event.get(type(event), ()):
            ids = event.model_dump(mode="json")
            yield topic.named(ids), orjson.dumps(ids).decode()

    def admits(self, caller: Caller, name: str) -> bool:
        """Whether the caller may subscribe to the topic of this name; no to unknown names."""
        for pattern, topic in self._patterns:
            if (found := pattern.fullmatch(name)) is not None:
                if topic.audience is Audience.EVERYONE:
                    return True
                if caller.user_id is None or topic.audience is Audience.EVERY_CALLER:
                    return caller.user_id is not None
                return found[OWN_ID] == str(caller.user_id)
        return False


def _pattern(topic: Topic) -> re.Pattern[str]:
    literals = PLACEHOLDER.split(topic.name)  # literal, name, literal, …
    parts = [
        f"(?P<{part}>[^:]+)" if place % 2 else re.escape(part)
        for place, part in enumerate(literals)
    ]
    return re.compile("".join(parts))
