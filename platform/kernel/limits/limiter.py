"""Counts requests: in Redis, for all processes, or alone while Redis is away."""

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

    One round trip to Redis. Where that fails, or Redis refuses, this process decides alone, by the
    set's `alone` policies; the pipeline sees to it that a Redis that is away costs nobody time.

    `take` is all of it. Who asks Redis for more sends the `command` along, and has `decide` read
    what came back.
    """

    def __init__(self, redis: Pipeline, *, local: LocalLogs | None = None) -> None:
        self._redis = redis
        self._local = LocalLogs() if local is None else local
        self._alone, self._failed_at = False, 0.0

    async def take(self, subject: str, policies: PolicySet) -> Decision:
        """Count a request of the subject to all of the policies, or to none where one refuses."""
        reply = await self._reply(self.command(subject, policies))
        return await self.decide(subject, policies, reply)

    def command(self, subject: str, policies: PolicySet, weight: int = 1) -> Command:
        """Return the command that counts a request as `take` does, for a round trip of others.

        To the first policy it counts `weight` times.
        """
        return script.command(subject, policies, weight)

    async def decide(
        self, subject: str, policies: PolicySet, reply: object, weight: int = 1
    ) -> Decision:
        """Return the decision: `reply` is what came for the command, or the RedisAway instead.

        Where Redis did not know the script it is asked once more, with the source.
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
        """Take back an admitted request, as if it had never come.

        Where Redis has counted it and does not answer now, it stays counted.
        """
        if decision.alone:
            self._local.give_back(decision)
            return
        uncounted: list[Command] = [
            ("LREM", script.key(decision.subject, policy), 1, decision.at)
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
            log.warning("Redis is away: this process limits alone", extra={"reason": str(error)})

    def _succeeded(self) -> None:
        # Not at once: where one request in two fails, that is one state, and not a line for each.
        if time.monotonic() - self._failed_at > _STEADY_SECONDS:
            self._alone = False
            log.warning("Redis is back: limits hold for all processes again")
