"""Passwords: what every slice that takes a new one may answer, and what is asked for."""

from uuid import UUID

from kernel.errors import ApiError
from kernel.events import Event


class PasswordRefused(ApiError):
    """Supabase Auth's own rules for passwords are stricter than ours."""

    status = 422
    code = "WEAK_PASSWORD"
    message = "This password is too easy to guess: choose another."


class PasswordResetRequested(Event):
    """Somebody asks for a link to reset the password of an address, which may have no account."""

    reset_id: UUID
