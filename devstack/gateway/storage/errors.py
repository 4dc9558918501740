"""Storage's errors. Nearly all come as HTTP 400: the real status is in the body."""

from typing import Any

import asyncpg
import orjson
from starlette.responses import Response

_CLIENT_ERROR = 400


class StorageError(Exception):
    """A refusal: the status of the body, Storage's code, a sentence, and the older name `error`.

    `http` is the status of the response, where it is not 400.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        error: str | None = None,
        http: int = _CLIENT_ERROR,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.error, self.http = error or code, http


def no_such_bucket() -> StorageError:
    """Return the refusal of an unknown or hidden bucket; 404 in the body."""
    return StorageError(404, "NoSuchBucket", "Bucket not found", error="Bucket not found")


def no_such_key() -> StorageError:
    """Return the refusal of an unknown or hidden object; 404 in the body."""
    return StorageError(404, "NoSuchKey", "Object not found", error="not_found")


def no_bytes() -> StorageError:
    """Return the refusal of an object that has a row, but no bytes; 404 in the body."""
    return StorageError(404, "NoSuchKey", "The resource was not found", error="Not found")


def duplicate(code: str) -> StorageError:
    """Return the refusal of a name that is taken; 409 in the body."""
    return StorageError(409, code, "The resource already exists", error="Duplicate")


def access_denied(message: str) -> StorageError:
    """Return the refusal of a token, or of a row by a policy; 403 in the body."""
    return StorageError(403, "AccessDenied", message, error="Unauthorized")


def too_large(entity: str = "object") -> StorageError:
    """Return the refusal of too many bytes; 413 in the body."""
    message = f"The {entity} exceeded the maximum allowed size"
    return StorageError(413, "EntityTooLarge", message, error="Payload too large")


def invalid_mime_type(mime: str) -> StorageError:
    """Return the refusal of a type that the bucket does not allow; 415 in the body."""
    message = f"mime type {mime} is not supported"
    return StorageError(415, "InvalidMimeType", message, error="invalid_mime_type")


def invalid_request(message: str, *, error: str | None = None) -> StorageError:
    """Return the refusal of a malformed request; 400."""
    return StorageError(400, "InvalidRequest", message, error=error)


def invalid_token(code: str, message: str) -> StorageError:
    """Return the refusal of a token of a signed URL; 400."""
    return StorageError(400, code, message)


def unsupported(feature: str) -> StorageError:
    """Return the refusal of a function that this gateway does not have; 501."""
    message = f"The local gateway does not support {feature}."
    return StorageError(501, "NotSupported", message, error="not_implemented", http=501)


def from_postgres(error: asyncpg.PostgresError) -> StorageError:
    """Return the client's view of an SQL error."""
    message = error.message or ""
    match error.sqlstate:
        case "42501":
            if "row-level security" in message:
                message = "new row violates row-level security policy"
            return access_denied(message)
        case "23505":
            return duplicate("ResourceAlreadyExists")
        case "23503":
            message = "The related resource does not exist"
            return StorageError(404, "InvalidRequest", message)
        case "22P02":
            return StorageError(400, "InvalidParameter", message)
        case "57014":
            message = "The connection to the database timed out"
            return StorageError(544, "DatabaseTimeout", message, http=544)
        case state:
            message = f"database error, code: {state}"
            return StorageError(500, "DatabaseError", message, http=500)


def as_response(error: StorageError) -> Response:
    """Return the refusal as JSON."""
    body = {
        "statusCode": str(error.status),
        "error": error.error,
        "code": error.code,
        "message": error.message,
    }
    return json_response(body, status=error.http)


def json_response(body: Any, *, status: int = 200) -> Response:
    """Return a JSON response; times are written in UTC with a Z."""
    content = orjson.dumps(body, default=str, option=orjson.OPT_UTC_Z)
    return Response(content, status_code=status, media_type="application/json")
