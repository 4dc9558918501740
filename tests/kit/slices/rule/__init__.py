"""Do what only an admin may do."""

from fastapi import APIRouter

from kernel import Feature
from kernel.web.routing import Answer

router = APIRouter()


@router.get("/rule")
async def rule() -> Answer[bool]:
    """Respond to an admin."""
    return Answer(data=True)


feature = Feature(router=router, role="admin")
