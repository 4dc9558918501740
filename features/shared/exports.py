"""Exports of a user's data."""

from uuid import UUID

from kernel.events import Event


class ExportRequested(Event):
    """Somebody asked for an archive of a user's data."""

    export_id: UUID
