"""Events: facts that the database reports and that handlers announce.

A class and its topic in SQL (`select outbox.track(…)`) belong together: `PostChanged` is the topic
`post_changed`, and its fields are the topic's. They live in features/shared.
"""

import importlib
import pkgutil
import re
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Event(BaseModel):
    """A fact; subclasses are named in the past tense, and their fields identify the subject.

    Fields that this version does not know are ignored: the database may be newer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str] = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Derive the topic from the class name."""
        cls.topic = _WORD.sub("_", cls.__name__).lower()


class JobDue(Event):
    """The slot of a scheduled job is due; `job` is its name."""

    job: str
    slot: AwareDatetime


class SessionEnded(Event):
    """A session of Supabase Auth has ended, for any reason."""

    session_id: UUID
    user_id: UUID


def known_events(package: str = "features.shared") -> dict[str, type[Event]]:
    """Return the event classes by topic: those of the package's modules, and the kernel's.

    Raises ValueError if two classes have the same topic.
    """
    found: dict[str, type[Event]] = {kind.topic: kind for kind in (JobDue, SessionEnded)}
    root = importlib.import_module(package)
    for info in pkgutil.iter_modules(root.__path__, f"{package}."):
        for item in vars(importlib.import_module(info.name)).values():
            if not (isinstance(item, type) and issubclass(item, Event) and item is not Event):
                continue
            if found.setdefault(item.topic, item) is not item:
                raise ValueError(f"{found[item.topic]} and {item} have the same topic: rename one.")
    return found
