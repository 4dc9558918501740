"""Say who calls: from the token alone, or from the database."""

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
    """Return the id in the token; only the session is checked."""
    return Answer((await services.aget(Caller)).user_id)


@router.get("/whoami/stored")
async def stored(services: Services) -> Answer[Person]:
    """Read the caller's own user from the database; it is never cached."""
    found = await (await services.aget(AsCaller)).rpc("me")
    if not found:
        raise Unauthenticated
    return Answer(Person.model_validate(found[0]))


feature = Feature(router=router)
