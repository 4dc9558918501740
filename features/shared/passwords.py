"""Passwords: what every slice that takes a new one may answer."""

from kernel.errors import ApiError


class PasswordRefused(ApiError):
    """Supabase Auth's own rules for passwords are stricter than ours."""

    status = 422
    code = "WEAK_PASSWORD"
    message = "This password is too easy to guess: choose another."
