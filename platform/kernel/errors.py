"""The one error type, and the errors that any slice may meet.

A slice's own error is a subclass with a status, a code and a message:

    class PostNotFound(NotFound):
        code = "POST_NOT_FOUND"
        message = "This post does not exist."
"""

from typing import ClassVar


class ApiError(Exception):
    """An answer other than success.

    Class attributes: `status` is the HTTP status, `code` the stable UPPER_SNAKE name that clients
    switch on, `message` a sentence for a person. Keyword arguments become `details` of the answer:
    they are public, so never pass what the caller may not know.
    `retry_after` is sent as the `Retry-After` header, in whole seconds.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    message: ClassVar[str] = "Something went wrong on our side. The request id helps us find out."
    retry_after: int | None = None

    def __init__(self, *, retry_after: int | None = None, **details: object) -> None:
        super().__init__(self.code)
        self.details = details
        if retry_after is not None:
            self.retry_after = retry_after


class BadRequest(ApiError):
    """What arrived is not HTTP as the server reads it."""

    status = 400
    code = "BAD_REQUEST"
    message = "This is not a valid HTTP/1.1 request with exactly one Host header."


class HostNotAllowed(ApiError):
    """The Host header names none of ALLOWED_HOSTS."""

    status = 400
    code = "HOST_NOT_ALLOWED"
    message = "The API does not answer under this host name."


class PreflightRefused(ApiError):
    """A page of another origin asks for what CORS_ORIGINS does not allow it."""

    status = 400
    code = "CORS_REFUSED"
    message = "Pages of this origin may not send this request."


class RequestTimeout(ApiError):
    """The request did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    message = "The request took too long to arrive. Please send it again."


class UriTooLong(ApiError):
    """The path or the whole address is longer than the limit."""

    status = 414
    code = "URI_TOO_LONG"
    message = "The address is too long: a path may have 2 KB, path and query together 8 KB."


class HeadersTooLarge(ApiError):
    """There are more header lines, or bytes of them, than the limit."""

    status = 431
    code = "HEADERS_TOO_LARGE"
    message = "The headers of this request are too large: 100 lines and 32 KB are accepted."


class ValidationFailed(ApiError):
    """The request does not fit the contract; `details.fields` says where, never what was sent."""

    status = 422
    code = "VALIDATION_ERROR"
    message = "The request is not valid: see details.fields."


class Unauthenticated(ApiError):
    """No token where one is needed, or one that does not count (any more)."""

    status = 401
    code = "UNAUTHENTICATED"
    message = "A valid access token is needed: send it in the header 'Authorization: Bearer …'."


class SessionRevoked(Unauthenticated):
    """The token is valid, but its session has ended: logout, new password, deletion."""

    code = "SESSION_ENDED"
    message = "This session has ended: log in again."


class Forbidden(ApiError):
    """The caller is known and may not do this."""

    status = 403
    code = "FORBIDDEN"
    message = "You may not do this."


class NotFound(ApiError):
    """What was asked for does not exist, or not for this caller."""

    status = 404
    code = "NOT_FOUND"
    message = "There is nothing here."


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This method is not allowed here: see the Allow header."


class Conflict(ApiError):
    """The request is valid, but what is stored stands against it."""

    status = 409
    code = "CONFLICT"
    message = "This conflicts with what is already stored."


class BodyTooLarge(ApiError):
    """The body is longer than the limit."""

    status = 413
    code = "BODY_TOO_LARGE"
    message = "The body of this request is too large."


class TooManyRequests(ApiError):
    """A limit is used up; `Retry-After` says when to come back."""

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
    """A part of the system that this request needs does not answer at the moment."""

    status = 503
    code = "UNAVAILABLE"
    message = "This is not available at the moment. Please try again shortly."
    retry_after = 5


class Permanent(Exception):
    """Another try would fail the same way: the run fails at once, without retries."""
