"""The cached read of the pages of the feed."""

from features.shared.posts import PostChanged
from kernel.cache import Cached, everyone, minutes

FEED = Cached(
    "feed:{cursor}:{page_size}",
    # Short: there are as many keys as posts, so a drop cannot delete the values of all of them.
    ttl=minutes(2),
    stale=minutes(2),
    audience=everyone,
    drop_on=(PostChanged,),
    where={"page_size": (10, 20, 50, 100)},
)
