"""The one error type, and the errors that every slice can use.

A slice's own error is a subclass with a status, a code and a message:

    class PostNotFound(NotFound):
        code = "POST_NOT_FOUND"
        message = "This post does not exist."
"""

from typing import ClassVar


class ApiError(Exception):
    """A response other than success.

    Class attributes: `status` is the HTTP status, `code` the stable UPPER_SNAKE name for programs,
    `message` a sentence for people. Keyword arguments become `details` of the response: they are
    public, so never pass what the caller may not know. `retry_after` is sent as the `Retry-After`
    header, in whole seconds. `may_have_acted` says that a write of this request may have been
    carried out: then the response is OutcomeUnknown.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    message: ClassVar[str] = "Something went wrong on our side. The request id helps us find out."
    retry_after: int | None = None
    may_have_acted: bool = False

    def __init__(self, *, retry_after: int | None = None, **details: object) -> None:
        super().__init__(self.code)
        self.details = details
        if retry_after is not None:
            self.retry_after = retry_after


class BadRequest(ApiError):
    """The server cannot read the request as HTTP."""

    status = 400
    code = "BAD_REQUEST"
    message = "This is not a valid HTTP/1.1 request with exactly one Host header."


class HostNotAllowed(ApiError):
    """The Host header is not in ALLOWED_HOSTS."""

    status = 400
    code = "HOST_NOT_ALLOWED"
    message = "The API does not answer under this host name."


class HttpsRequired(ApiError):
    """In production, a trusted proxy says that the client did not use HTTPS."""

    status = 403
    code = "HTTPS_REQUIRED"
    message = "Use https: this request, and the token in it, were not encrypted. Change the token."


class PreflightRefused(ApiError):
    """CORS_ORIGINS does not allow the request of a page of another origin."""

    status = 400
    code = "CORS_REFUSED"
    message = "Pages of this origin may not send this request."


class RequestTimeout(ApiError):
    """The request did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    message = "The request took too long to arrive. Please send it again."


class UriTooLong(ApiError):
    """The path or the whole URL is longer than the limit."""

    status = 414
    code = "URI_TOO_LONG"
    message = "The URL is too long: a path may have 2 KB, path and query together 8 KB."


class HeadersTooLarge(ApiError):
    """The header has more lines or bytes than the limit."""

    status = 431
    code = "HEADERS_TOO_LARGE"
    message = "The headers of this request are too large: 100 lines and 32 KB are accepted."


class ValidationFailed(ApiError):
    """The request is not valid; `details.fields` says where, without the input.

    A subclass for one field names it in `field`; without `field_message` the field has the error's
    own message.
    """

    status = 422
    code = "VALIDATION_ERROR"
    message = "The request is not valid: see details.fields."
    field: ClassVar[str] = "body"
    field_message: ClassVar[str | None] = "A value here is not accepted."

    def __init__(self, *, fields: list[dict[str, str]] | None = None) -> None:
        own = {"field": self.field, "message": self.field_message or self.message}
        super().__init__(fields=fields or [own])


class Unauthenticated(ApiError):
    """The required token is missing, invalid, or expired."""

    status = 401
    code = "UNAUTHENTICATED"
    message = "A valid access token is needed: send it in the header 'Authorization: Bearer …'."


class SessionRevoked(Unauthenticated):
    """The token is valid, but its session has ended: logout, new password, deletion."""

    code = "SESSION_ENDED"
    message = "This session has ended: log in again."


class Forbidden(ApiError):
    """The caller is known, but not allowed to do this."""

    status = 403
    code = "FORBIDDEN"
    message = "You may not do this."


class NotFound(ApiError):
    """The resource does not exist, or is hidden from this caller."""

    status = 404
    code = "NOT_FOUND"
    message = "There is nothing here."


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This method is not allowed here: see the Allow header."


class Conflict(ApiError):
    """The request is valid, but conflicts with stored data."""

    status = 409
    code = "CONFLICT"
    message = "This conflicts with what is already stored."


class NotAcceptable(ApiError):
    """The Accept header of a GET excludes JSON."""

    status = 406
    code = "NOT_ACCEPTABLE"
    message = "This is only available as application/json: see the Accept header."


class UnsupportedMediaType(ApiError):
    """The body is not JSON by its Content-Type."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "The body of this request must be JSON: send 'Content-Type: application/json'."


class PreconditionFailed(ApiError):
    """A condition of the request does not hold: If-Match, If-None-Match or If-Unmodified-Since."""

    status = 412
    code = "PRECONDITION_FAILED"
    message = "This has changed since you read it: read it again, then decide."


class BodyTooLarge(ApiError):
    """The body is longer than the limit."""

    status = 413
    code = "BODY_TOO_LARGE"
    message = "The body of this request is too large."


class TooManyRequests(ApiError):
    """A rate limit is exceeded; `Retry-After` says when to try again."""

    status = 429
    code = "TOO_MANY_REQUESTS"
    message = "Too many requests: wait as long as the Retry-After header says."
    retry_after = 60


class QuotaExceeded(ApiError):
    """A user may store no more of `details.quota`, of which there is `details.limit`."""

    status = 429
    code = "QUOTA_EXCEEDED"
    message = (
        "You have used up a quota: delete something, or wait if there is a Retry-After header."
    )


class Unavailable(ApiError):
    """A service that this request needs is unavailable."""

    status = 503
    code = "UNAVAILABLE"
    message = "This is not available at the moment. Please try again shortly."
    retry_after: int | None = 5


class OutcomeUnknown(ApiError):
    """A write was sent, and no response came: it may have been carried out.

    Without `Retry-After`: a client that repeats it by itself could write twice.
    """

    status = 503
    code = "OUTCOME_UNKNOWN"
    message = (
        "No answer came in time, and this may have been carried out: look before you send it again."
    )


class DeadlineExceeded(ApiError):
    """The request took longer than REQUEST_TIMEOUT_SECONDS; a write may have happened or not."""

    status = 504
    code = "DEADLINE_EXCEEDED"
    message = (
        "This took too long. If it was a write, check whether it happened before you repeat it."
    )


class Temporary(Exception):
    """A failure that passes by itself: a run that failed of it is performed again for a day."""


class Permanent(Exception):
    """A retry would fail the same way: the run fails immediately, without retries."""
