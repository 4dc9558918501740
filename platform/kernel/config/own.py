"""Settings of slices and adapters, read and validated at the start with all others."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class OwnSettings(BaseSettings):
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
