"""The cached read of the caller's own user, and the live topic."""

from features.shared.users import UserChanged
from kernel import Topic
from kernel.cache import Cached, hours, one_caller

ME = Cached("user:{user_id}:me", ttl=hours(1), audience=one_caller, drop_on=(UserChanged,))
TOPIC = Topic("user:{user_id}", on=UserChanged, audience=one_caller)
