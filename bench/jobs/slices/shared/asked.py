"""What the benchmark asks for."""

from uuid import UUID

from kernel.events import Event


class BenchMailAsked(Event):
    """A mail to a user was asked for."""

    user_id: UUID
