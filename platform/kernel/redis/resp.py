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
"""The value that a reader returns while a reply is incomplete."""

_pack = cast("Callable[[Command], bytes]", pack_command)  # its own type allows only one word
# Only these repeat often enough to cache their bytes; writes are long and all different.
_REPEATED: Final = frozenset({"EVALSHA", "MGET"})
_remembered = lru_cache(4096)(_pack)


def pack(command: Command) -> bytes:
    """Return the bytes of a command. Raises TypeError for anything but words."""
    return _remembered(command) if command[0] in _REPEATED else _pack(command)


# The classes that redis-py has for errors.
_REFUSALS: Final[dict[str, type[ResponseError]]] = {
    "EXECABORT": ExecAbortError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
}
# These concern the server or the connection, not the command. READONLY comes from a primary that
# became a replica, when its name already leads elsewhere.
_UNFIT: Final = frozenset({"LOADING", "MASTERDOWN", "NOAUTH", "READONLY"})


def reader(unfit: list[str]) -> Reader:
    """Return a reader of replies; errors that make the server unfit are added to the list."""
    # A function, not a bound method: hiredis does not support garbage collection of cycles.
    return Reader(replyError=partial(_refusal, unfit), notEnoughData=NOT_ENOUGH)


def _refusal(unfit: list[str], text: str) -> ResponseError:
    code = text.partition(" ")[0]
    if code in _UNFIT:
        unfit.append(text)
    return _REFUSALS.get(code, ResponseError)(text)
