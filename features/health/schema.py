from typing import Literal

from pydantic import BaseModel

from kernel.errors import Unavailable

State = Literal["up", "down"]


class Health(BaseModel):
    """The state of the services that this process needs; `adapters` are those in use."""

    status: Literal["healthy", "degraded"]
    redis: State
    supabase: State
    adapters: dict[str, State] | None = None


class Ready(BaseModel):
    """The process accepts requests."""

    status: Literal["ready"] = "ready"


class Alive(BaseModel):
    """The process runs."""

    status: Literal["alive"] = "alive"


class NotReady(Unavailable):
    """Supabase was not yet checked successfully, or the process is shutting down."""

    code = "NOT_READY"
    message = "This process is starting or shutting down, and does not accept requests."
