"""Settings, read once at the start from the environment and `.env`; the environment wins."""

import importlib
import os
import re
import sys
from collections.abc import Iterable
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    HttpUrl,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from kernel.config.own import CleanSettings, OwnSettings
from kernel.config.rates import Rate, RateLimitSource, RateSetting
from kernel.config.types import (
    Addresses,
    BaseUrl,
    Host,
    HostNames,
    Networks,
    Origins,
    ProjectUrl,
    WritableFile,
    host_and_port,
    is_loopback,
    lower,
    upper,
)

ROOT = Path(__file__).parents[2]
NO_REPLY = "no-reply@localhost"
Own = TypeVar("Own", bound=OwnSettings)
SECRET_MIN_BYTES = 32  # RFC 7518, 3.2: at least the size of the hash
# Celery reads these by itself, and prefers them.
_CELERYS_OWN = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
_PLAIN = re.compile(r"[!-~]+")  # printable ASCII, without spaces
_IMPLICIT_TLS_PORT = 465  # RFC 8314, 3.3


Environment = Literal["development", "test", "production"]


class SettingsError(Exception):
    """One message that names all missing or invalid settings, without their values."""


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < SECRET_MIN_BYTES:
        raise ValueError(f"must have at least {SECRET_MIN_BYTES} bytes")
    return value


Secret = Annotated[SecretStr, AfterValidator(_long_enough)]


def _one_line(value: str) -> str:
    if not value.isprintable() or value != value.strip():
        raise ValueError("must be one line of text, without spaces around it")
    return value


def _address(value: str) -> str:
    if not all(parseaddr(value)) or not value.isprintable():
        raise ValueError("must be like: Name <address@example.com>")
    return value


def _mailbox(value: str) -> str:
    if parseaddr(value) != ("", value) or "@" not in value or not _PLAIN.fullmatch(value):
        raise ValueError("must be an address alone, like bounces@example.com")
    return value


def _app_name() -> str:
    name: str = importlib.import_module("features").APP_NAME
    return name


def _mail_from(settings: dict[str, Any]) -> str:
    return str(Address(display_name=settings["app_name"], addr_spec=NO_REPLY))


def _app_env(settings: dict[str, Any]) -> Environment:
    """Return what a missing APP_ENV means: production, unless all is on this machine."""
    hosts = [settings["supabase_url"].host, settings["redis_host"], settings["api_host"]]
    hosts += [host_and_port(one)[0] for one in settings["redis_sentinels"]]
    if settings["broker_host"] is not None:
        hosts.append(settings["broker_host"])
    return "development" if all(map(is_loopback, hosts)) else "production"


class Settings(CleanSettings, BaseSettings):  # the second is for ruff, which knows it
    """Every setting of the production processes; `.env.example` explains each."""

    model_config = SettingsConfigDict(
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
    )

    app_name: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_one_line)] = Field(
        default_factory=_app_name
    )

    supabase_url: ProjectUrl
    supabase_key: SecretStr
    supabase_service_key: SecretStr
    redis_host: Host

    supabase_public_url: ProjectUrl | None = None
    supabase_concurrency: int = Field(default=50, ge=1, le=10_000)
    supabase_timeout_seconds: float = Field(default=2, gt=0, le=60)
    supabase_mail_timeout_seconds: float = Field(default=10, gt=0, le=120)

    jwt_secret: Secret | None = None
    jwt_audience: str = "authenticated"
    jwt_issuer: str | None = None
    max_token_seconds: int = Field(default=24 * 3600, ge=60, le=24 * 3600)

    cursor_secret: Secret | None = None
    cursor_secret_previous: Secret | None = None

    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_username: str | None = None
    redis_password: SecretStr | None = None
    redis_db: int = Field(default=0, ge=0, le=65535)
    redis_tls: bool = False
    cache_enabled: bool = True
    redis_sentinels: Addresses = []
    redis_sentinel_name: str = "mymaster"

    broker_host: Host | None = None
    broker_port: int = Field(default=6379, ge=1, le=65535)
    broker_username: str | None = None
    broker_password: SecretStr | None = None
    broker_db: int = Field(default=0, ge=0, le=65535)
    broker_tls: bool = False

    refuse_common_passwords: bool | None = None

    smtp_host: Host | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Annotated[Literal["starttls", "tls", "none"], BeforeValidator(lower)] = (
        "starttls"
    )
    mail_from: Annotated[str, AfterValidator(_address)] = Field(default_factory=_mail_from)
    mail_return_path: Annotated[str, AfterValidator(_mailbox)] | None = None
    mail_unsubscribe: Annotated[str, AfterValidator(_mailbox)] | None = None
    app_url: BaseUrl = HttpUrl("http://127.0.0.1:3000")

    otel_exporter_otlp_endpoint: HttpUrl | None = None
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None, BeforeValidator(upper)
    ] = None
    log_format: Annotated[Literal["json", "console"] | None, BeforeValidator(lower)] = None
    docs_enabled: bool | None = None
    cors_origins: Origins = []
    allowed_hosts: HostNames = ["*"]
    # A content of 100,000 emoji, each escaped as \ud83d\ude00, has 1,200,000 bytes.
    max_body_bytes: int = Field(default=1280 * 1024, ge=1)
    trusted_proxies: Networks = []

    rate_limit_default: RateSetting = Rate(100, 60)
    rate_limit_fallback: RateSetting = Rate(100, 60)
    rate_limit_reauthentication: RateSetting = Rate(20, 15 * 60)
    rate_limits: dict[str, RateSetting] = {}
    """RATE_LIMIT_<SLICE>, by the name in lower case."""

    quota_posts_per_day: int = Field(default=1000, ge=0, lt=10**15)
    quota_bytes: int = Field(default=100_000_000, ge=0, lt=10**15)
    quota_files: int = Field(default=1000, ge=0, lt=10**15)
    quota_file_bytes: int = Field(default=1_000_000_000, ge=0, lt=10**15)

    _own: dict[type[OwnSettings], OwnSettings] = PrivateAttr(default_factory=dict)

    worker_jobs: int = Field(default=32, ge=1, le=1000)
    worker_concurrency: int = Field(default=2, ge=1, le=1000)
    worker_max_tasks_per_child: int | None = Field(default=None, ge=1)
    worker_max_memory_per_child_mb: int | None = Field(default=None, ge=1, le=10**6)
    worker_grace_seconds: float = Field(default=20, ge=0, le=3600)
    visibility_timeout_seconds: int = Field(default=900, ge=1, le=7 * 24 * 3600)
    cleanup_dry_run: bool = False
    login_notices: bool = False
    heartbeat_file: WritableFile | None = None

    metrics_host: Host = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    metrics_on_api: bool | None = None

    api_host: Host = "127.0.0.1"
    api_port: int = Field(
        # PORT is what Cloud Run, Heroku, Fly and Render set.
        default=8000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("api_port", "port"),
    )
    api_workers: int = Field(default=1, ge=1, le=1000)
    api_drain_seconds: float = Field(default=0, ge=0, le=60)

    keep_alive_seconds: float = Field(default=75, gt=0, le=3600)
    header_timeout_seconds: float = Field(default=10, gt=0, le=600)
    body_timeout_seconds: float = Field(default=60, gt=0, le=3600)
    request_timeout_seconds: float = Field(default=30, gt=0, le=3600)
    write_timeout_seconds: float = Field(default=30, gt=0, le=3600)
    max_connections: int | None = Field(default=None, ge=1)
    max_connections_per_client: int | None = Field(default=None, ge=1)
    live_max_sockets: int = Field(default=5000, ge=0, le=10**6)
    live_per_user: int = Field(default=10, ge=1, le=10**6)

    app_env: Annotated[Environment, BeforeValidator(lower)] = Field(default_factory=_app_env)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *args: Any, **kwargs: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add the source of slices' limits: their names are not known here."""
        sources = super().settings_customise_sources(settings_cls, *args, **kwargs)
        return *sources, RateLimitSource(settings_cls, sources)

    @model_validator(mode="after")
    def _broker_without_sentinels(self) -> Self:
        if self.redis_sentinels and self.broker_host is None:
            raise ValueError(
                "BROKER_HOST must be set if REDIS_SENTINELS is: jobs do not use Sentinel"
            )
        return self

    @model_validator(mode="after")
    def _of_one_server(self) -> Self:
        """Refuse settings of a server that do nothing without another one."""
        for name in ("redis", "broker", "smtp"):
            has_user = getattr(self, f"{name}_username") is not None
            if has_user and getattr(self, f"{name}_password") is None:
                raise ValueError(f"{name.upper()}_PASSWORD must be set if the user name is")
        if self.smtp_password is not None and self.smtp_username is None:
            raise ValueError("SMTP_USERNAME must be set if SMTP_PASSWORD is")
        if self.smtp_port == _IMPLICIT_TLS_PORT and self.smtp_security != "tls":
            raise ValueError("SMTP_SECURITY must be tls for SMTP_PORT 465")
        return self

    def own(self, kind: type[Own]) -> Own:
        """Return the settings of a slice or an adapter, of this class.

        They are those that `load_settings` has read, otherwise the current ones of the environment.
        """
        found = self._own.get(kind)
        return found if isinstance(found, kind) else kind()

    @property
    def app_env_is_assumed(self) -> bool:
        """Whether this is production because APP_ENV is missing."""
        return self.app_env == "production" and "app_env" not in self.model_fields_set

    @property
    def supabase(self) -> str:
        """The base URL of Supabase, without a trailing slash."""
        return str(self.supabase_url).rstrip("/")

    @property
    def supabase_for_clients(self) -> str:
        """The base URL by which clients reach Supabase, without a trailing slash."""
        return str(self.supabase_public_url or self.supabase_url).rstrip("/")

    @property
    def cursor_secrets(self) -> tuple[str, ...]:
        """The secrets of cursors: the first one signs, all of them verify."""
        first = self.cursor_secret or self.supabase_service_key
        both = (first, self.cursor_secret_previous)
        return tuple(one.get_secret_value() for one in both if one is not None)

    @property
    def app_base(self) -> str:
        """The base URL of the pages that mails link to, without a trailing slash."""
        return str(self.app_url).rstrip("/")

    @property
    def traces_endpoint(self) -> str | None:
        """The base URL of the collector of traces; None: traces are off."""
        endpoint = self.otel_exporter_otlp_endpoint
        return None if endpoint is None else str(endpoint)

    @property
    def docs(self) -> bool:
        """Whether to serve /docs and /openapi.json: by default not in production."""
        if self.docs_enabled is None:
            return self.app_env != "production"
        return self.docs_enabled

    @property
    def api_serves_metrics(self) -> bool:
        """Whether the API's own port serves /metrics, too: by default not in production."""
        if self.metrics_on_api is None:
            return self.app_env != "production"
        return self.metrics_on_api

    @property
    def refuses_common_passwords(self) -> bool:
        """Whether new passwords must not be among the commonest: in production unless it is set."""
        if self.refuse_common_passwords is None:
            return self.app_env == "production"
        return self.refuse_common_passwords

    @property
    def level(self) -> str:
        """The log level; by default INFO in production and DEBUG elsewhere."""
        return self.log_level or ("INFO" if self.app_env == "production" else "DEBUG")

    @property
    def console_logs(self) -> bool:
        """Whether log lines are for people: LOG_FORMAT, or a terminal in development."""
        if self.log_format is not None:
            return self.log_format == "console"
        stream = sys.__stdout__
        return self.app_env == "development" and stream is not None and stream.isatty()


def load_settings(env_file: Path | None = None, own: Iterable[type[OwnSettings]] = ()) -> Settings:
    """Return the settings of the environment and, for missing ones, of the file.

    The file is `.env` of the checkout unless the argument or the variable ENV_FILE names another.
    `own` are the classes of slices and adapters, which `Settings.own` returns.
    Raises SettingsError, which names all faults together.
    """
    env_file = env_file or Path(os.environ.get("ENV_FILE") or ROOT / ".env")
    faults: set[str] = set()
    settings, read = None, {}
    try:
        # The values come from the environment, which pyright does not know.
        settings = Settings(_env_file=env_file)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        # A default that derives from an invalid value is not a fault of its own.
        found = [one for one in error.errors() if one["type"] != "default_factory_not_called"]
        faults.update(_fault(item["loc"], item) for item in found)
    faults.update(
        f"  {name}: must not be set, because Celery would use it instead of BROKER_HOST"
        for name in _CELERYS_OWN
        if os.environ.get(name)
    )
    for kind in own:
        try:
            read[kind] = kind(_env_file=env_file)  # pyright: ignore[reportCallIssue]
        except ValidationError as error:
            for item in error.errors():
                field, *rest = item["loc"] or (kind.__name__,)
                faults.add(_fault((kind.variable(str(field)), *rest), item))
    if settings is None or faults:
        raise SettingsError(
            "The settings are not complete:\n" + "\n".join(sorted(faults)) + "\n"
            "Set them in the environment or in .env; .env.example explains each. "
            "For development set none: run ./app up, and other commands use its stack."
        ) from None
    settings._own.update(read)  # noqa: SLF001 - its own module
    return settings


def _fault(location: tuple[int | str, ...], item: object) -> str:
    detail = item if isinstance(item, dict) else {}
    if location[:1] == ("rate_limits",):
        location = ("_".join(["rate_limit", *map(str, location[1:2])]),)
    name = ".".join(str(part) for part in location).upper() or "SETTINGS"
    if detail.get("type") == "missing":
        hint = ", and REDIS_URL is not read: split it into REDIS_HOST, REDIS_PORT, REDIS_PASSWORD"
        is_url = name == "REDIS_HOST" and os.environ.get("REDIS_URL")
        return f"  {name} is missing{hint if is_url else ''}"
    message = str(detail.get("msg", "is not valid")).removeprefix("Value error, ")
    return f"  {name}: {message}"
