"""Counts requests: in Redis, for all processes, or alone while Redis is away."""

import logging
from typing import Any, Final, cast

from redis.exceptions import NoScriptError, ResponseError

from kernel.limits import script
from kernel.limits.local import LocalLogs
from kernel.limits.policy import Decision, PolicySet
from kernel.pause import Pause
from kernel.redis.pipeline import Command, Pipeline, RedisAway

log = logging.getLogger(__name__)

_FAULTS: Final = (RedisAway, ResponseError, ValueError, TypeError)


class Limiter:
    """Decides whether a subject's next request is admitted; it never raises.

    One round trip to Redis. When that fails, this process decides alone, by the set's `alone`
    policies, and asks Redis again after a pause (0.5 to 5 s), with one request at a time: a
    silent Redis costs its deadline once a pause, and not once a request.
    """

    def __init__(
        self,
        redis: Pipeline,
        *,
        local: LocalLogs | None = None,
        pause: Pause | None = None,
    ) -> None:
        self._redis = redis
        self._local = LocalLogs() if local is None else local
        self._pause = pause or Pause()
        self._away = self._probing = False

    async def take(self, subject: str, policies: PolicySet) -> Decision:
        """Count a request of the subject to all of the policies, or to none where one refuses."""
        if self._away and (self._probing or not self._pause.over):
            return self._local.take(subject, policies.alone)
        probe = self._probing = self._away
        try:
            reply = await self._count(subject, policies)
            decision = script.read(reply, subject, policies)
        except _FAULTS as error:
            self._fell_back(error, probe=probe)
            return self._local.take(subject, policies.alone)
        finally:
            if probe:
                self._probing = False
        self._is_back()
        return decision

    def command(self, subject: str, policies: PolicySet) -> Command:
        return script.command(subject, policies)

    async def decide(self, subject: str, policies: PolicySet, reply: object) -> Decision:
        try:
            if isinstance(reply, NoScriptError):
                (reply,) = await self._redis.ask(
                    script.command(subject, policies, with_source=True)
                )
            if isinstance(reply, Exception):
                raise reply
            return script.read(reply, subject, policies)
        except _FAULTS:
            return self._local.take(subject, policies.alone)

    async def give_back(self, decision: Decision) -> None:
        """Take back an admitted request, as if it had never come.

        Where Redis has counted it and does not answer now, it stays counted.
        """
        if decision.alone:
            self._local.give_back(decision)
        elif not self._away:
            try:
                await self._ask(
                    *(
                        ("LREM", script.key(decision.subject, policy.name), 1, decision.at)
                        for policy in decision.policies.policies
                    )
                )
            except _FAULTS as error:
                self._fell_back(error, probe=False)

    async def _count(self, subject: str, policies: PolicySet) -> list[int]:
        try:
            (found,) = await self._ask(script.command(subject, policies))
        except NoScriptError:
            (found,) = await self._ask(script.command(subject, policies, with_source=True))
        return cast("list[int]", found)

    async def _ask(self, *commands: Command) -> list[Any]:
        replies = await self._redis.ask(*commands)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def _fell_back(self, error: Exception, *, probe: bool) -> None:
        if self._away and not probe:
            return  # of the same fault, which has been counted
        self._pause.failed()
        if not self._away:
            self._away = True
            log.warning("Redis is away: this process limits alone", extra={"reason": str(error)})

    def _is_back(self) -> None:
        if self._away:
            self._away = False
            self._pause.succeeded()
            log.warning("Redis is back: limits hold for all processes again")
