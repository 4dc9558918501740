"""Hashes passwords with bcrypt, outside the event loop."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from devstack.gateway.auth.errors import AuthError, validation_failed

_MAX_BYTES = 72  # bcrypt ignores further bytes
_T = TypeVar("_T")


class Passwords:
    """Checks and hashes passwords, one at a time for each core, never on the event loop."""

    def __init__(self, *, rounds: int, min_length: int) -> None:
        self._rounds = rounds
        self._min_length = min_length
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="bcrypt")

    def check_strength(self, password: str) -> None:
        """Raise AuthError if a new password is too long (400) or too short (422)."""
        if len(password.encode()) > _MAX_BYTES:
            raise validation_failed(f"Password cannot be longer than {_MAX_BYTES} characters")
        if len(password) < self._min_length:
            message = f"Password should be at least {self._min_length} characters."
            reasons = {"weak_password": {"reasons": ["length"]}}
            raise AuthError(422, "weak_password", message, detail=reasons)

    async def hash(self, password: str) -> str:
        """Return the bcrypt hash of a password that passed `check_strength`."""
        secret, rounds = password.encode(), self._rounds
        return (await self._beside(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(rounds)))).decode()

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Return whether a password has this hash.

        None (an unknown user) costs no time. As in GoTrue, the time reveals whether an address is
        known: callers that must not reveal it must prevent that.
        """
        if hashed is None:
            return False
        secret, against = password.encode(), hashed.encode()

        def check() -> bool:
            try:
                return bcrypt.checkpw(secret[:_MAX_BYTES], against)
            except ValueError:  # not a bcrypt hash: an account imported by SQL
                return False

        return await self._beside(check) and len(secret) <= _MAX_BYTES

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def _beside(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
