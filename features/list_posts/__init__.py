"""Read a page of posts, newest first; an author may ask for the own drafts too."""

from kernel import Feature

from . import route

feature = Feature(router=route.router, caller="optional", weight=2)
