"""Ask to upload a file: the bytes then go to Supabase Storage directly."""

from kernel import Feature, Limit

from . import route

feature = Feature(router=route.router, idempotent=True, limits=(Limit("60/minute"),))
