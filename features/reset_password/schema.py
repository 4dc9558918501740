from features.shared.passwords import PasswordRefused
from kernel.errors import ApiError, Unauthenticated
from kernel.web import Body, MailedToken, NewPassword


class NewChoice(Body):
    """The token from the mail, and the password that is to count from now on."""

    token: MailedToken
    password: NewPassword


class InvalidResetToken(Unauthenticated):
    """Unknown, used or too old, or its account is closed: one answer for all."""

    code = "INVALID_RESET_TOKEN"
    message = "This link does not count (any more): ask for a new one."


class WeakChoice(PasswordRefused):
    """Supabase Auth refuses the password, and only says so once the token is used up."""

    message = "This password is too easy to guess: ask for a new link and choose another."


class SamePassword(ApiError):
    """Supabase Auth takes no password that the account has already."""

    status = 422
    code = "SAME_PASSWORD"
    message = (
        "The account has this password already: log in with it, or ask for a new link and choose "
        "another."
    )
