from kernel.errors import Unauthenticated
from kernel.web import Body, MailedToken, NewPassword


class NewChoice(Body):
    """The token from the mail, and the password that is to count from now on."""

    token: MailedToken
    password: NewPassword


class InvalidResetToken(Unauthenticated):
    """Unknown, used or too old, or its account is closed: one answer for all."""

    code = "INVALID_RESET_TOKEN"
    message = "This link does not count (any more): ask for a new one."
