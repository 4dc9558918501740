"""What one slice contributes to the application."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter

from kernel.cache import Cached
from kernel.jobs import Job
from kernel.limits.limit import Limit

CallerRule = Literal["required", "optional", "ignored"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One use case, as its folder's `__init__.py` states it.

    `caller` says who may call. *required*, the default: a valid token, else 401. *optional*: no
    token is an anonymous caller, an invalid one is 401. *ignored*: no token is looked at.
    `role` asks for that `app_metadata.role` in addition, else 403; it needs a required caller.
    `limits` count in addition to the default limit, which all slices share; `limited=False` exempts
    a slice from that one, too.
    A slice without a router is called by nobody: it has `jobs`.
    """

    router: APIRouter | None = None
    caller: CallerRule = "required"
    role: str | None = None
    limits: tuple[Limit, ...] = ()
    limited: bool = True
    jobs: tuple[Job, ...] = ()
    cached: tuple[Cached, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a role that nobody would be asked for, and limits that nothing would count."""
        if self.role is not None and self.caller != "required":
            raise ValueError('a feature with a role needs caller="required"')
        if self.limits and (self.router is None or not self.limited):
            raise ValueError("a feature with limits needs a router, and must not be limited=False")
        if len({limit.per for limit in self.limits}) < len(self.limits):
            raise ValueError("a feature has at most one limit per address, and one per account")
