"""Unexpected errors, for the adapters that observe them, such as `adapters/sentry.py`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from kernel.core.request_id import request_id
from kernel.errors import ApiError, Permanent, Temporary

log = logging.getLogger(__name__)

# Errors that a job raises on purpose: it is performed again, or has failed for a known reason.
_EXPECTED_OF_JOBS = (ApiError, Permanent, Temporary)


@dataclass(frozen=True, kw_only=True)
class Unexpected:
    """An error that no code has expected, and where: `job` is None in a request."""

    error: BaseException
    slice: str | None
    request_id: str | None
    job: str | None = None


Observer = Callable[[Unexpected], None]


class UnexpectedErrors:
    """Passes unexpected errors of requests and jobs to the observers; there may be none."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    @property
    def observed(self) -> bool:
        """Whether there is an observer."""
        return bool(self._observers)

    def add(self, observer: Observer) -> None:
        """Call `observer` with each error; it must return soon, and send in the background."""
        self._observers.append(observer)

    def of_request(self, error: Exception, *, slice: str | None) -> None:  # noqa: A002 - as in logs
        """Report an error that is answered by 500; never raises."""
        self._report(Unexpected(error=error, slice=slice, request_id=request_id.get()))

    def of_job(self, error: BaseException, *, slice: str, job: str) -> None:  # noqa: A002
        """Report an error that ended the attempt of a job, unless jobs raise it on purpose."""
        if not isinstance(error, _EXPECTED_OF_JOBS):
            where = Unexpected(error=error, slice=slice, request_id=request_id.get(), job=job)
            self._report(where)

    def _report(self, unexpected: Unexpected) -> None:
        for observer in self._observers:
            try:
                observer(unexpected)
            except Exception:
                log.exception("An observer of unexpected errors has failed")
