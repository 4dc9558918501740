"""The cached read of the caller's own user."""

from features.shared.users import UserChanged
from kernel.cache import Cached, hours, one_caller

ME = Cached("user:{user_id}:me", ttl=hours(1), audience=one_caller, drop_on=(UserChanged,))
