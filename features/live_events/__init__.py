"""Follow live updates as an event stream (SSE): which topics changed, to read them again."""

from kernel import Feature
from kernel.cache import minutes

from . import route

# A comment is sent every 15 s, so the stream never reaches this deadline.
feature = Feature(router=route.router, caller="optional", deadline=minutes(1))
