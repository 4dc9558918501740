"""Read the own files, newest first."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
