"""Download an own file that is ready: a URL of Supabase Storage for ten minutes."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
