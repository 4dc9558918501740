"""Require a proof that the caller owns the account, as every change of credentials does."""

from fastapi import APIRouter, status
from pydantic import SecretStr

from kernel import Feature
from kernel.identity import FreshLogin, ReauthenticationRequired
from kernel.web import Body, Services, raises

router = APIRouter()


class Proving(Body):
    """The proof of a caller whose login is old."""

    current_password: SecretStr | None = None


@router.post(
    "/prove", status_code=status.HTTP_204_NO_CONTENT, responses=raises(ReauthenticationRequired)
)
async def prove(services: Services, proving: Proving | None = None) -> None:
    """Return if the caller has proven it."""
    fresh = await services.aget(FreshLogin)
    await fresh.require(proving.current_password if proving else None)


feature = Feature(router=router)
