from kernel.errors import Forbidden, Unauthenticated
from kernel.web import Body, Email, Password


class Credentials(Body):
    """E-mail address and password."""

    email: Email
    password: Password


class InvalidCredentials(Unauthenticated):
    """Unknown address or wrong password: one response, which does not reveal which."""

    code = "INVALID_CREDENTIALS"
    message = "The e-mail address or the password is wrong."


class EmailNotConfirmed(Forbidden):
    """The password is right, but the address waits for its confirmation."""

    code = "EMAIL_NOT_CONFIRMED"
    message = "Confirm your e-mail address first: the link is in your inbox."
