"""The cached read of the first pages of published posts, and the live topic."""

from features.shared.posts import PostChanged
from kernel import Topic
from kernel.cache import Cached, everyone, minutes

PAGE = Cached(
    "posts:page:{page}:{page_size}",
    ttl=minutes(30),
    audience=everyone,
    drop_on=(PostChanged,),
    # Few sizes: whoever asks for all of them is not to fill the cache with the same posts.
    where={"page": range(1, 101), "page_size": (10, 20, 50, 100), "published_only": (True,)},
)
TOPIC = Topic("posts", on=PostChanged, audience=everyone)
