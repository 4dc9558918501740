from kernel.errors import ApiError, Forbidden
from kernel.web import Body, NewPassword, Password


class PasswordChange(Body):
    """The current and the new password."""

    current_password: Password
    password: NewPassword


class WrongPassword(Forbidden):
    """The current password is wrong."""

    code = "WRONG_PASSWORD"
    message = "The current password is wrong."


class SamePassword(ApiError):
    """The new password is the current one."""

    status = 422
    field = "body.password"
    code = "SAME_PASSWORD"
    message = "This is your password already: choose another."
