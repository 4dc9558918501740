"""Read a user: the whole of it by its owner and admins, the public profile by everyone else."""

from kernel import Feature

from . import route

feature = Feature(router=route.router)
