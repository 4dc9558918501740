"""The cached read of an own file."""

from features.shared.files import FileChanged
from kernel.cache import Cached, minutes, one_caller

FILE = Cached(
    "user:{user_id}:file:{file_id}", ttl=minutes(30), audience=one_caller, drop_on=(FileChanged,)
)
