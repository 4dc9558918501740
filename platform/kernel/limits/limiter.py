"""Counts requests in Redis for all processes, or locally while Redis is unavailable."""

import logging
import time
from typing import Final

from redis.exceptions import NoScriptError, ResponseError

from kernel.limits import script
from kernel.limits.local import LocalLogs
from kernel.limits.policy import Decision, PolicySet
from kernel.redis.pipeline import Command, Pipeline, RedisAway

log = logging.getLogger(__name__)

_STEADY_SECONDS: Final = 1.0


class Limiter:
    """Decides whether a subject's next request is admitted; it never raises.

    It takes one round trip to Redis. If that fails, or Redis refuses, this process decides alone by
    the set's `alone` policies. While Redis is unavailable, the pipeline fails immediately.

    `take` does everything. To share a round trip, add `command()` to your pipeline and pass the
    reply to `decide()`.
    """

    def __init__(self, redis: Pipeline, *, local: LocalLogs | None = None) -> None:
        self._redis = redis
        self._local = LocalLogs() if local is None else local
        self._alone, self._failed_at = False, 0.0

    async def take(self, subject: str, policies: PolicySet) -> Decision:
        """Count a request of the subject to all policies, or to none if one refuses."""
        reply = await self._reply(self.command(subject, policies))
        return await self.decide(subject, policies, reply)

    def command(self, subject: str, policies: PolicySet, weight: int = 1) -> Command:
        """Return the command that counts a request as `take` does, to send with other commands.

        To the first policy it counts `weight` times.
        """
        return script.command(subject, policies, weight)

    async def decide(
        self, subject: str, policies: PolicySet, reply: object, weight: int = 1
    ) -> Decision:
        """Return the decision; `reply` is the reply to the command, or the RedisAway instead.

        If Redis did not know the script, send it once more with its source.
        """
        if isinstance(reply, NoScriptError):
            reply = await self._reply(script.command(subject, policies, weight, with_source=True))
        try:
            if isinstance(reply, Exception):
                raise reply
            decision = script.read(reply, subject, policies)
        except (RedisAway, ResponseError, ValueError) as error:
            self._failed(error)
            return self._local.take(subject, policies.alone, weight)
        if self._alone:
            self._succeeded()
        return decision

    async def give_back(self, decision: Decision) -> None:
        """Uncount an admitted request.

        If Redis counted it and does not answer now, it stays counted.
        """
        if decision.alone:
            self._local.give_back(decision)
            return
        uncounted: list[Command] = [
            script.give_back(decision.subject, policy, decision.at)
            for policy in decision.policies.policies
        ]
        try:
            replies = await self._redis.ask(*uncounted)
        except RedisAway as error:
            replies = [error]
        for refused in (one for one in replies if isinstance(one, Exception)):
            self._failed(refused)

    async def _reply(self, command: Command) -> object:
        try:
            (reply,) = await self._redis.ask(command)
        except RedisAway as error:
            return error
        else:
            return reply

    def _failed(self, error: Exception) -> None:
        self._failed_at = time.monotonic()
        if not self._alone:
            self._alone = True
            log.warning("Redis is away: limits hold for each process", extra={"reason": str(error)})

    def _succeeded(self) -> None:
        # Wait: if every other request fails, that is one state, and not a log line for each.
        if time.monotonic() - self._failed_at > _STEADY_SECONDS:
            self._alone = False
            log.warning("Redis is back: limits hold for all processes again")
