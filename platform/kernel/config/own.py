"""Settings of slices and adapters, read and validated at the start with all others."""

import re
from typing import Any, Final

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_QUOTED: Final = re.compile(r"""(["'])([^"']*)\1""")
# Kubernetes sets REDIS_PORT=tcp://10.0.0.1:6379 beside a Service of the name redis.
_SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://[^/\s]+:[0-9]+")


class CleanSettings(BaseSettings):
    """Settings without what files and container platforms leave around their values.

    These are white space (the end of line of a mounted secret), the quotes that `docker run
    --env-file` keeps, and ports that are Kubernetes' own variables about a Service. A value of
    which nothing is left counts as missing.
    """

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        cleaned = {name: cleaned_text(value) for name, value in values.items()}
        return {
            name: value
            for name, value in cleaned.items()
            if not (value == "" and values[name] != "") and not _is_link(name, value)
        }


def cleaned_text(value: Any) -> Any:
    """Return a text without white space and one pair of quotes around it."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    quoted = _QUOTED.fullmatch(value)
    return quoted[2].strip() if quoted else value


def _is_link(name: str, value: object) -> bool:
    is_port = name.rpartition("_")[2] == "port"
    return is_port and isinstance(value, str) and _SERVICE_LINK.fullmatch(value) is not None


class OwnSettings(CleanSettings):
    """Settings of one slice or adapter: each field is a variable of the environment or `.env`.

    `class GreetingSettings(OwnSettings): greeting: str = "Hello"` reads GREETING. With
    `model_config = SettingsConfigDict(env_prefix="WEBHOOK_")` the field `url` is WEBHOOK_URL. A
    field without a default is required at the start. `.env.example` explains each.
    """

    model_config = SettingsConfigDict(
        extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, frozen=True
    )

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the variable of a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def variables(cls) -> frozenset[str]:
        """Return the names of all its variables."""
        return frozenset(map(cls.variable, cls.model_fields))
