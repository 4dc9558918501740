"""The cached read of the first pages: each owner has own values."""

from kernel.cache import Cached, minutes, one_caller

from ..shared.notes import NoteChanged

PAGE = Cached(
    "notes:page:{user_id}:{page}:{page_size}",
    ttl=minutes(30),
    audience=one_caller,
    drop_on=(NoteChanged,),
    # Few sizes: nobody can fill the cache with the same notes in all sizes.
    where={"page": range(1, 21), "page_size": (10, 20, 50, 100)},
)
