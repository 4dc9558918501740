"""Passwords: the error of slices that take a new one, and the event of a reset."""

from uuid import UUID

from kernel.errors import ApiError
from kernel.events import Event


class PasswordRefused(ApiError):
    """Supabase Auth's own password rules are stricter than ours."""

    status = 422
    field = "body.password"
    code = "WEAK_PASSWORD"
    message = "This password is too easy to guess: choose another."


class PasswordResetRequested(Event):
    """A password reset was requested for an address, which may have no account."""

    reset_id: UUID
