"""Reports unexpected errors to Sentry; disabled until SENTRY_DSN is set.

A report holds the classes of the error and of its causes, the stack, slice, job and request id.
Texts of errors can hold what users sent, so they are left out: the log line with the same request
id has them, redacted.
"""

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, SecretStr
from pydantic_settings import SettingsConfigDict

from kernel import Adapter
from kernel.config import OwnSettings
from kernel.jobs import seconds
from kernel.observe import Observer, Unexpected

if TYPE_CHECKING:
    from sentry_sdk.client import Client

# An error can occur with every request: then a part of the reports says enough.
MOST_A_MINUTE: Final = 60
_MINUTE: Final = 60.0
_OF_AN_ERROR: Final = ("type", "module", "mechanism")
_OF_A_FRAME: Final = (
    *("filename", "abs_path", "module", "function", "lineno"),
    *("pre_context", "context_line", "post_context"),
)


def _readable(dsn: SecretStr) -> SecretStr:
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - only where it is set

    try:
        Dsn(dsn.get_secret_value())
    except BadDsn:
        message = "must be the DSN of a project at Sentry: https://<key>@<host>/<project>"
        raise ValueError(message) from None
    return dsn


class SentrySettings(OwnSettings):
    """SENTRY_DSN, SENTRY_ENVIRONMENT and SENTRY_RELEASE."""

    model_config = SettingsConfigDict(env_prefix="SENTRY_")

    dsn: Annotated[SecretStr, AfterValidator(_readable)] | None = None
    environment: str = "production"
    release: str = "unknown"


class Sentry:
    """Sends reports in the background; more than 60 a minute are dropped."""

    def __init__(self, settings: SentrySettings, deadline: float) -> None:
        self._deadline = deadline
        self._client = _client(settings) if settings.dsn is not None else None
        self._sent: deque[float] = deque(maxlen=MOST_A_MINUTE)

    def observer(self) -> Observer | None:
        """Return what reports an error; None without SENTRY_DSN."""
        return self._report if self._client is not None else None

    async def aclose(self) -> None:
        """Send the waiting reports, for the deadline at most, and end the thread that sends."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close, self._deadline)

    def _report(self, unexpected: Unexpected) -> None:
        now = time.monotonic()
        if len(self._sent) == MOST_A_MINUTE and self._sent[0] > now - _MINUTE:
            return
        self._sent.append(now)
        assert self._client is not None  # otherwise there is no observer
        self._client.capture_event(_event(unexpected, self._client))


def _client(settings: SentrySettings) -> "Client":
    """Return a client that adds nothing itself: no integrations, no scope, no variables."""
    from sentry_sdk.client import Client  # noqa: PLC0415 - only where it is on

    assert settings.dsn is not None
    return Client(
        dsn=settings.dsn.get_secret_value(),
        environment=settings.environment,
        release=settings.release,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        include_local_variables=False,
        send_client_reports=False,
        traces_sample_rate=None,
        debug=False,
        spotlight=False,
    )


def _event(unexpected: Unexpected, client: "Client") -> Any:
    """Return the event, made of named parts only: what else the library finds is left out."""
    from sentry_sdk.utils import event_from_exception  # noqa: PLC0415 - loaded by now

    mechanism = {"type": "job" if unexpected.job else "request", "handled": False}
    found, _ = event_from_exception(
        unexpected.error, client_options=client.options, mechanism=mechanism
    )
    tags = {
        "slice": unexpected.slice,
        "job": unexpected.job,
        "request_id": unexpected.request_id,
    }
    errors = found.get("exception", {}).get("values", ())
    return {
        "level": "error",
        "transaction": unexpected.job or unexpected.slice or "no slice",
        "tags": {name: value for name, value in tags.items() if value is not None},
        "exception": {"values": [_error(one) for one in errors]},
    }


def _error(found: dict[str, Any]) -> dict[str, Any]:
    frames = (found.get("stacktrace") or {}).get("frames", [])
    return {
        **{name: found.get(name) for name in _OF_AN_ERROR},
        "stacktrace": {"frames": [{name: one.get(name) for name in _OF_A_FRAME} for one in frames]},
    }


adapter = Adapter(
    client=Sentry,
    settings=SentrySettings,
    make=Sentry,
    close=Sentry.aclose,
    deadline=seconds(2),
    observe=Sentry.observer,
    jobs=False,
)
