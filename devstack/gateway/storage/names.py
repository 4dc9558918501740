"""Names of buckets and objects that Storage accepts, and types of files that a bucket allows."""

import re

from devstack.gateway.storage.errors import StorageError, invalid_mime_type

_OBJECT = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
_BUCKET = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}")
_MIME = re.compile(r"([a-zA-Z0-9\-+.]+/([a-zA-Z0-9\-+.]+|\*)(;\s*charset=[a-zA-Z0-9\-]+)?|\*)")
_MAX_MIME = 1000


def check_object(name: str) -> None:
    """Raise StorageError (400) for a name that no object can have."""
    if not _OBJECT.fullmatch(name):
        raise StorageError(400, "InvalidKey", f"Invalid key: {name}")


def check_bucket(name: str) -> None:
    """Raise StorageError (400) for a name that no bucket can have."""
    if not _BUCKET.fullmatch(name) or name.strip() != name:
        message = "Bucket name invalid"
        raise StorageError(400, "InvalidBucketName", message, error="Invalid Input")


def check_mime_types(types: list[str]) -> None:
    """Raise StorageError (415) for a type that a bucket cannot allow."""
    for mime in types:
        if len(mime) > _MAX_MIME or not _MIME.fullmatch(mime):
            raise invalid_mime_type(mime)


def check_mime(mime: str, allowed: list[str] | None) -> None:
    """Raise StorageError (415) unless a bucket allows this type; `image/*` allows all images."""
    if not allowed:
        return
    kind, slash, _ = mime.partition("/")
    if not slash or not {mime, f"{kind}/*"} & set(allowed):
        raise invalid_mime_type(mime)


def is_placeholder(name: str) -> bool:
    """Whether it only makes a folder visible: it is empty, and of any type."""
    return name.endswith(".emptyFolderPlaceholder")
