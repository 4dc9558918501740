from kernel.errors import NotFound


class SessionNotFound(NotFound):
    """The caller has no session with this id (any more)."""

    code = "SESSION_NOT_FOUND"
    message = "You have no such session."
