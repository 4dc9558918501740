"""Say who calls: by the token alone, or as the database has it."""

from uuid import UUID

from fastapi import APIRouter

from kernel import Feature
from kernel.core.caller import Caller
from kernel.errors import Unauthenticated
from kernel.supabase import AsCaller
from kernel.web.routing import Answer, Services

from ..shared.users import Person

router = APIRouter()


@router.get("/whoami")
async def whoami(services: Services) -> Answer[UUID | None]:
    """Read the id in the token; nothing but the session is looked up."""
    return Answer((await services.aget(Caller)).user_id)


@router.get("/whoami/stored")
async def stored(services: Services) -> Answer[Person]:
    """Read the caller's own user from the database, each time anew."""
    found = await (await services.aget(AsCaller)).rpc("me")
    if not found:
        raise Unauthenticated
    return Answer(Person.model_validate(found[0]))


feature = Feature(router=router)
