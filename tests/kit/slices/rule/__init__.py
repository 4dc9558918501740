"""Do what only an admin may."""

from fastapi import APIRouter

from kernel import Feature
from kernel.web.routing import Answer

router = APIRouter()


@router.get("/rule")
async def rule() -> Answer[bool]:
    """Answer an admin."""
    return Answer(data=True)


feature = Feature(router=router, role="admin")
