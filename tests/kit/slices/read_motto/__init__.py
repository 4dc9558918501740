"""Read a text that is the same for all and needs no database: a cached read without a caller."""

from fastapi import APIRouter

from kernel import Feature
from kernel.cache import Cached, everyone, hours
from kernel.web.routing import Answer

from ..shared.things import ThingChanged

MOTTO = Cached("motto", ttl=hours(1), audience=everyone, drop_on=(ThingChanged,))

router = APIRouter()


@router.get("/motto")
@MOTTO.serves
async def read_motto() -> Answer[str]:
    """Read the motto."""
    return Answer("one folder a use case")


feature = Feature(router=router, caller="ignored")
