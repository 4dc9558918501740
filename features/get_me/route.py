from fastapi import APIRouter

from features.shared.users import User, UserGone
from kernel.web import Answer, Services, raises

from . import handler
from .cache import ME

router = APIRouter(tags=["users"])


@router.get("/users/me", responses=raises(UserGone))
@ME.serves
async def get_me(services: Services) -> Answer[User]:
    """Read your own user, including the e-mail address."""
    return Answer(await services.call(handler.get_me))
