"""The cached read of the first pages of published posts."""

from features.shared.posts import PostChanged
from kernel.cache import Cached, everyone, minutes

PAGE = Cached(
    "posts:page:{page}:{page_size}",
    ttl=minutes(30),
    audience=everyone,
    drop_on=(PostChanged,),
    where={"page": range(1, 101), "published_only": (True,)},
)
