"""Passwords: the error of slices that take a new one, and the event of a reset."""

from uuid import UUID

from kernel.errors import ValidationFailed
from kernel.events import Event


class PasswordRefused(ValidationFailed):
    """Supabase Auth's own password rules are stricter than ours."""

    code = "WEAK_PASSWORD"
    message = "This password is too easy to guess: choose another."
    field = "body.password"
    field_message = None


class PasswordResetRequested(Event):
    """A password reset was requested for an address, which may have no account."""

    reset_id: UUID
