"""Where a read post is kept, and what makes it stale."""

from features.shared.posts import PostChanged
from kernel.cache import Cached, everyone, minutes

POST = Cached("post:{post_id}", ttl=minutes(30), audience=everyone, drop_on=(PostChanged,))
