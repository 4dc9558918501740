"""The cached read of a note: each owner has an own value."""

from kernel.cache import Cached, minutes, one_caller

from ..shared.notes import NoteChanged

NOTE = Cached(
    "note:{note_id}:{user_id}", ttl=minutes(30), audience=one_caller, drop_on=(NoteChanged,)
)
