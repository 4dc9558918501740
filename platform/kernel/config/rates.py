"""Rates such as `10/minute`, and the settings RATE_LIMIT_<NAME> that have them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource

from kernel.config.own import cleaned_text

_WRITTEN: Final = re.compile(
    r"([0-9]{1,30}) ?/ ?(?:([0-9]{1,5}) ?)?(second|minute|hour)s?", re.IGNORECASE
)
_SECONDS: Final = {"hour": 3600, "minute": 60, "second": 1}
_LONGEST_SECONDS: Final = 24 * 3600
MOST: Final = 9_999_999
"""The largest quota: a larger one is a slip, since it would limit nobody."""


_TOO_LARGE: Final = f"must allow {MOST:,} at most: a larger quota would limit nobody"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `quota` in any window of `seconds` (a sliding window).

    Settings have whole seconds.
    """

    quota: int
    seconds: float

    def __post_init__(self) -> None:
        """Refuse a quota below 1 or above MOST, and windows longer than a day."""
        if self.quota < 1 or not 0 < self.seconds <= _LONGEST_SECONDS:
            raise ValueError("must allow 1 or more in up to 24 hours")
        if self.quota > MOST * 10:  # of an IPv6 network, ten times as much
            raise ValueError(_TOO_LARGE)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rate written as `100/minute`, `5/hour` or `20/15 minutes`.

        Raises ValueError.
        """
        found = _WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError("must be like 100/minute, 5/hour or 20/15 minutes")
        quota, count, unit = found.groups()
        if int(quota) > MOST:
            raise ValueError(_TOO_LARGE)
        return cls(int(quota), int(count or 1) * _SECONDS[unit.lower()])

    @property
    def microseconds(self) -> int:
        """The length of the window in microseconds."""
        return round(self.seconds * 1_000_000)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        unit = next((unit for unit, one in _SECONDS.items() if self.seconds % one == 0), "second")
        count = self.seconds / _SECONDS[unit]
        return f"{self.quota}/{unit}" if count == 1 else f"{self.quota}/{count:g} {unit}s"


def _parsed(value: object) -> object:
    return Rate.parse(cleaned_text(value)) if isinstance(value, str) else value


RateSetting = Annotated[Rate, NoDecode, BeforeValidator(_parsed)]
"""The type of a setting that is a rate."""


PREFIX: Final = "rate_limit_"


class RateLimitSource(PydanticBaseSettingsSource):
    """Collects them into the field `rate_limits`; the first source wins."""

    def __init__(
        self, settings_cls: type[BaseSettings], sources: Iterable[PydanticBaseSettingsSource]
    ) -> None:
        super().__init__(settings_cls)
        self._sources = [one for one in sources if isinstance(one, EnvSettingsSource)]

    def get_field_value(
        self,
        field: FieldInfo,  # noqa: ARG002 - the base class names it
        field_name: str,
    ) -> tuple[Any, str, bool]:
        """Return nothing: this source has one field, and fills it as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the field."""
        found: dict[str, str] = {}
        for source in self._sources:
            for name, value in source.env_vars.items():
                is_slices = name.startswith(PREFIX) and name not in self.settings_cls.model_fields
                if is_slices and value is not None and cleaned_text(value):
                    found.setdefault(name.removeprefix(PREFIX), value)
        return {"rate_limits": found} if found else {}
