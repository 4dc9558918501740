"""Read the own sessions: since when, from where, and by which device each is used."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
