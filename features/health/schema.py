from typing import Literal

from pydantic import BaseModel

from kernel.errors import Unavailable

State = Literal["up", "down"]


class Health(BaseModel):
    """How the parts are that this process needs; `adapters` are those that are in use."""

    status: Literal["healthy", "degraded"]
    redis: State
    supabase: State
    adapters: dict[str, State] | None = None


class Ready(BaseModel):
    """The process takes requests."""

    status: Literal["ready"] = "ready"


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"] = "alive"


class NotReady(Unavailable):
    """No successful check of Supabase yet, or on the way to the shutdown."""

    code = "NOT_READY"
    message = "This process does not take requests yet, or not any more."
