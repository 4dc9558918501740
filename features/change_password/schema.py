from kernel.errors import Forbidden, ValidationFailed
from kernel.web import Body, NewPassword, Password


class PasswordChange(Body):
    """The current and the new password."""

    current_password: Password
    password: NewPassword


class WrongPassword(Forbidden):
    """The current password is wrong."""

    code = "WRONG_PASSWORD"
    message = "The current password is wrong."


class SamePassword(ValidationFailed):
    """The new password is the current one."""

    code = "SAME_PASSWORD"
    message = "This is your password already: choose another."
    field = "body.password"
    field_message = None
