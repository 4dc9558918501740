"""The cached reads of users: full for their owners, profiles for all, none for admins."""

from features.shared.users import UserChanged
from kernel.cache import Cached, every_caller, hours, one_caller

OWN = Cached("user:{user_id}:own", ttl=hours(1), audience=one_caller, drop_on=(UserChanged,))
PROFILE = Cached("user:{user_id}", ttl=hours(1), audience=every_caller, drop_on=(UserChanged,))
