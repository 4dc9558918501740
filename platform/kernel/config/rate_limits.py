"""Reads RATE_LIMIT_<SLICE> from the environment and `.env`: one setting for each slice."""

from collections.abc import Iterable
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

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
                if is_slices and value is not None:
                    found.setdefault(name.removeprefix(PREFIX), value)
        return {"rate_limits": found} if found else {}
