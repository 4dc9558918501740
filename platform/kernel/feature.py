"""`Feature`: what a slice contributes to the application."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute

from kernel.cache.cached import Cached, reads_of
from kernel.config.own import OwnSettings
from kernel.jobs import Job
from kernel.limits.policy import Limit
from kernel.live.topic import Topic

CallerRule = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """The declaration of a slice, exported by its folder's `__init__.py`.

    `caller` says who may call. *required*, the default: a valid token, else 401. *optional*:
    without a token the caller is anonymous, an invalid token is 401. *ignored*: tokens are ignored.
    `role` also requires that `app_metadata.role`, else 403; it needs a required caller. `owner`
    names the path parameter that must be the caller's own id, else 403; with a role beside it,
    either is enough. `limits` apply in addition to the default limit, which all slices share;
    `limited=False` exempts a slice from the default limit, too. A call that the cache cannot answer
    counts `weight` times to the default limit. A slice without a router has no calls: it has jobs.
    `idempotent=True` lets clients repeat its POST safely with the header Idempotency-Key: its
    handler inserts one row as the caller, into a table that a migration protects.
    `conditional=True` lets clients state If-Match and the like for its PUT or DELETE: its handler
    asks for the service Precondition.
    `deadline` replaces REQUEST_TIMEOUT_SECONDS for its calls: `deadline=minutes(2)`.
    `settings` are the slice's own: its handlers and jobs ask for them by their type.
    `topics` are what clients of live updates can subscribe to (docs/LIVE.md).
    """

    router: APIRouter | None = None
    caller: CallerRule = "required"
    role: str | None = None
    owner: str | None = None
    limits: tuple[Limit, ...] = ()
    limited: bool = True
    weight: int = 1
    idempotent: bool = False
    conditional: bool = False
    deadline: timedelta | None = None
    jobs: tuple[Job, ...] = ()
    settings: type[OwnSettings] | None = None
    topics: tuple[Topic, ...] = ()

    def __post_init__(self) -> None:
        """Refuse restrictions without a caller, and limits that would count nothing."""
        if self.restricted and self.caller != "required":
            raise ValueError('a feature with a role or an owner needs caller="required"')
        if self.owner is not None and not all(
            f"{{{self.owner}}}" in getattr(route, "path", "").split("/")
            for route in (self.router.routes if self.router else ())
        ):
            raise ValueError(f"{{{self.owner}}}, the owner, is not in the path of every route")
        if self.limits and (self.router is None or not self.limited):
            raise ValueError("a feature with limits needs a router, and must not be limited=False")
        if self.idempotent and (self.caller != "required" or self._methods - {"POST"}):
            raise ValueError('an idempotent feature needs caller="required", and only POST routes')
        if self.caller != "required" and any(limit.per == "user" for limit in self.limits):
            raise ValueError('a limit per user needs caller="required"')
        if self.conditional and self._methods - {"PUT", "DELETE"}:
            raise ValueError("a conditional feature has only PUT and DELETE routes")
        if self.weight < 1:
            raise ValueError("a call has a weight of 1 or more")
        if len({limit.per for limit in self.limits}) < len(self.limits):
            raise ValueError("a feature has at most one limit per address, account and user")

    @property
    def cached(self) -> tuple[Cached, ...]:
        """The cached reads of its routes, each once."""
        routes = self.router.routes if self.router else []
        reads = (one for r in routes if isinstance(r, APIRoute) for one in reads_of(r.endpoint))
        return tuple(dict.fromkeys(reads))

    @property
    def _methods(self) -> set[str]:
        routes = self.router.routes if self.router else []
        return {
            one for route in routes if isinstance(route, APIRoute) for one in route.methods or ()
        }

    @property
    def restricted(self) -> bool:
        """Whether only some users may call it."""
        return self.role is not None or self.owner is not None
