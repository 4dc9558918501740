from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import BaseModel, Field

from kernel.errors import ApiError, Conflict, Forbidden, Unavailable
from kernel.web import Body, Email, Line, NewPassword


class NewUser(Body):
    """The data of a new user."""

    email: Email
    password: NewPassword
    display_name: (
        Annotated[Line, Field(min_length=1, max_length=80, examples=["Ada Lovelace"])] | None
    ) = None


class ConfirmationSent(BaseModel):
    """One response for every address, so that it does not reveal accounts."""

    message: str = "Check your inbox: a message with a link to confirm the address is on its way."


class EmailTaken(Conflict):
    """The address has an account."""

    code = "EMAIL_TAKEN"
    message = "There is an account with this e-mail address: log in instead."


class SignupsClosed(Forbidden):
    """An admin closed sign-ups, or Supabase Auth accepts none."""

    code = "SIGNUPS_CLOSED"
    message = "Sign-ups are closed at the moment."


class SignupUnfinished(ApiError):
    """The first step was sent, and the rest failed; logging in completes it. No `Retry-After`."""

    status = 503
    code = "SIGNUP_UNFINISHED"
    message = (
        "Your account may have been created: log in with this address and password instead of "
        "signing up again."
    )


@contextmanager
def unfinished(*, created: bool = False) -> Iterator[None]:
    """Raise SignupUnfinished for a failure after which there may be an account."""
    try:
        yield
    except Unavailable as error:
        if created or error.may_have_acted:
            raise SignupUnfinished from error
        raise
