"""Commands and replies on the wire: RESP 2.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, cast

from hiredis import Reader, pack_command
from redis.exceptions import (
    ExecAbortError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from kernel.redis.pipeline import Command

NOT_ENOUGH: Final = object()
"""What a reader returns while a reply has not come whole."""

_pack = cast("Callable[[Command], bytes]", pack_command)  # its own types know one word only
# Scripts and reads are asked again and again; what is written is long, and another each time.
_REPEATED: Final = frozenset({"EVALSHA", "MGET"})
_remembered = lru_cache(4096)(_pack)


def pack(command: Command) -> bytes:
    """Return the bytes of a command. Raises TypeError where it has anything but words in it."""
    return _remembered(command) if command[0] in _REPEATED else _pack(command)


# The classes that redis-py has for refusals.
_REFUSALS: Final[dict[str, type[ResponseError]]] = {
    "EXECABORT": ExecAbortError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
}
# What is said of the server or of the connection, and not of the command: READONLY comes from a
# primary that was made a replica, when its name leads elsewhere already.
_UNFIT: Final = frozenset({"LOADING", "MASTERDOWN", "NOAUTH", "READONLY"})


def reader(unfit: list[str]) -> Reader:
    """Return a reader of replies; what makes the server unfit to answer is added to the list."""
    # Not a method of whoever holds the reader: hiredis is blind to cycles.
    return Reader(replyError=partial(_refusal, unfit), notEnoughData=NOT_ENOUGH)


def _refusal(unfit: list[str], text: str) -> ResponseError:
    code = text.partition(" ")[0]
    if code in _UNFIT:
        unfit.append(text)
    return _REFUSALS.get(code, ResponseError)(text)
