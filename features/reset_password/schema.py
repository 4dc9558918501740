from kernel.errors import Unauthenticated
from kernel.web import Body, MailedToken, NewPassword


class NewChoice(Body):
    """The token from the mail, and the new password."""

    token: MailedToken
    password: NewPassword


class InvalidResetToken(Unauthenticated):
    """An unknown, used or expired token, or a closed account: one response for all."""

    code = "INVALID_RESET_TOKEN"
    message = "This link is invalid or has expired: ask for a new one."
