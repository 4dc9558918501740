from kernel.errors import Forbidden, Unauthenticated
from kernel.web import Body, Email, Password


class Credentials(Body):
    """Who logs in."""

    email: Email
    password: Password


class InvalidCredentials(Unauthenticated):
    """Unknown address or wrong password: the same answer, so that it tells nobody which."""

    code = "INVALID_CREDENTIALS"
    message = "E-mail address or password are wrong."


class EmailNotConfirmed(Forbidden):
    """The password is right, but the address waits for its confirmation."""

    code = "EMAIL_NOT_CONFIRMED"
    message = "Confirm your e-mail address first: the link is in your inbox."
