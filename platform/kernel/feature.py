"""What one slice contributes to the application."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute

from kernel.cache.cached import Cached, reads_of
from kernel.jobs import Job
from kernel.limits.limit import Limit

CallerRule = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One use case, as its folder's `__init__.py` states it.

    `caller` says who may call. *required*, the default: a valid token, else 401. *optional*: no
    token is an anonymous caller, an invalid one is 401. *ignored*: no token is looked at.
    `role` asks for that `app_metadata.role` in addition, else 403; it needs a required caller.
    `owner` names the parameter of the path that must be the caller's own id, else 403; with a role
    beside it either is enough.
    `limits` count in addition to the default limit, which all slices share; `limited=False` exempts
    a slice from that one, too. In the default limit a call counts once or, where the cache cannot
    answer it, `weight` times: what only the database can answer is not to cost us more than others.
    A slice without a router is called by nobody: it has `jobs`.
    """

    router: APIRouter | None = None
    caller: CallerRule = "required"
    role: str | None = None
    owner: str | None = None
    limits: tuple[Limit, ...] = ()
    limited: bool = True
    weight: int = 1
    jobs: tuple[Job, ...] = ()

    def __post_init__(self) -> None:
        """Refuse restrictions that nobody is asked for, and limits that nothing would count."""
        if self.restricted and self.caller != "required":
            raise ValueError('a feature with a role or an owner needs caller="required"')
        if self.owner is not None and not all(
            f"{{{self.owner}}}" in getattr(route, "path", "").split("/")
            for route in (self.router.routes if self.router else ())
        ):
            raise ValueError(f"{{{self.owner}}}, the owner, is not in the path of every route")
        if self.limits and (self.router is None or not self.limited):
            raise ValueError("a feature with limits needs a router, and must not be limited=False")
        if self.weight < 1:
            raise ValueError("a call has a weight of 1 or more")
        if len({limit.per for limit in self.limits}) < len(self.limits):
            raise ValueError("a feature has at most one limit per address, and one per account")

    @property
    def cached(self) -> tuple[Cached, ...]:
        """The cached reads of its routes, each once."""
        routes = self.router.routes if self.router else []
        reads = (one for r in routes if isinstance(r, APIRoute) for one in reads_of(r.endpoint))
        return tuple(dict.fromkeys(reads))

    @property
    def restricted(self) -> bool:
        """Whether not every user may call it."""
        return self.role is not None or self.owner is not None
