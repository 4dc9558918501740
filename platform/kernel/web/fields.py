"""Types of request fields: a valid value can be stored and compared safely."""

import re
import unicodedata
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from kernel.core.addresses import normal_address

PASSWORD_MIN_CHARACTERS = 8
PASSWORD_MAX_BYTES = (
    72  # bcrypt ignores more: https://www.usenix.org/legacy/events/usenix99/provos/
)
TOKEN_MAX_CHARACTERS = 256  # Supabase Auth's have 56, and at most a prefix
EMAIL_MAX_CHARACTERS = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets


# Characters that show nothing: format characters, fillers, and the empty braille pattern. Inside a
# text they join emoji and letters.
_BLANK: Final = (
    r"\s\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff"
    r"\uffa0"
)
_BLANK_ENDS: Final = re.compile(rf"^[{_BLANK}]+|[{_BLANK}]+$")
# They turn the direction of all that follows: in a list or a mail, the words of others.
_TURNS: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]")


class Body(BaseModel):
    """A request body: unknown fields are refused, and a repr never shows values."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def invalid(message: str) -> PydanticCustomError:
    """Return an error for a validator to raise; the caller of the API gets its message.

    `raise invalid("The end is before the start.")`. The message must not contain the input. All
    other errors of validators become "This value is not valid."
    """
    # Pydantic treats braces as placeholders, without values here.
    return PydanticCustomError("invalid", "{message}", {"message": message})


def _normal(value: object) -> object:
    """Return a text as others write it who see the same: two forms of é are one."""
    if not isinstance(value, str):
        return value
    return _BLANK_ENDS.sub("", unicodedata.normalize("NFC", _TURNS.sub("", value)))


def _without_nul(value: str) -> str:
    # PostgreSQL's text cannot contain it.
    if "\x00" in value:
        raise PydanticCustomError("nul_character", "NUL characters are not allowed.")
    return value


def _email(value: str) -> str:
    if len(value) > EMAIL_MAX_CHARACTERS:
        raise PydanticCustomError("email_too_long", "This e-mail address is too long.")
    normal = normal_address(value)
    if normal is None:
        raise PydanticCustomError(
            "email_not_ascii", "Before the @, this e-mail address may have ASCII characters only."
        )
    return normal


def _new_password(value: SecretStr) -> SecretStr:
    password = value.get_secret_value()
    _without_nul(password)
    if len(password) < PASSWORD_MIN_CHARACTERS:
        raise PydanticCustomError("password_too_short", "A password has 8 characters or more.")
    if len(password.encode()) > PASSWORD_MAX_BYTES:
        raise PydanticCustomError(
            "password_too_long",
            (
                "This password is too long: it may have 72 bytes in UTF-8, where a plain letter is "
                "one byte, other letters are 2 or 3, and emoji are 4."
            ),
        )
    return value


def _password(value: SecretStr) -> SecretStr:
    password = value.get_secret_value()
    _without_nul(password)
    if not password or len(password.encode()) > PASSWORD_MAX_BYTES:
        raise PydanticCustomError("password_length", "A password has 1 to 72 bytes in UTF-8.")
    return value


def _mailed_token(value: SecretStr) -> SecretStr:
    token = value.get_secret_value()
    _without_nul(token)
    if not 1 <= len(token) <= TOKEN_MAX_CHARACTERS:
        raise PydanticCustomError("token_length", "A token has 1 to 256 characters.")
    return value


def _schema(min_length: int) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": min_length,
            "maxLength": PASSWORD_MAX_BYTES,
            "examples": ["correct horse battery staple"],
        }
    )


_NO_NUL = r"^[^\x00]*$"
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"

Text = Annotated[str, StringConstraints(pattern=_NO_NUL)]
"""Any text without NUL characters, unchanged."""

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=ONE_LINE), BeforeValidator(_normal)
]
"""One line of text without control characters, in the normal form NFC.

White space and invisible characters at both ends are removed: a text of nothing else is empty.
"""

Email = Annotated[EmailStr, AfterValidator(_email), Field(examples=["ada@example.com"])]
"""An e-mail address as Supabase Auth stores it: in lower case, the domain in its ASCII form."""

Password = Annotated[SecretStr, AfterValidator(_password), _schema(1)]
"""A password to check; other rules may have applied when it was chosen."""

NewPassword = Annotated[SecretStr, AfterValidator(_new_password), _schema(PASSWORD_MIN_CHARACTERS)]
"""A new password: at least 8 characters, at most 72 bytes in UTF-8."""

MailedToken = Annotated[
    SecretStr,
    AfterValidator(_mailed_token),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": TOKEN_MAX_CHARACTERS,
            "examples": ["the-token-of-the-link"],
        }
    ),
]
"""A token from the link in a mail: as secret as a password while it is valid."""
