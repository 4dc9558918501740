"""The cached read of a post."""

from features.shared.posts import PostChanged
from kernel.cache import Cached, everyone, minutes

POST = Cached("post:{post_id}", ttl=minutes(30), audience=everyone, drop_on=(PostChanged,))
