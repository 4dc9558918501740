from typing import Literal

from kernel.errors import Unauthenticated
from kernel.identity import Audit, Revocations
from kernel.supabase import AuthApi
from kernel.web import Caller


async def logout(
    auth: AuthApi,
    caller: Caller,
    revocations: Revocations,
    audit: Audit,
    *,
    scope: Literal["local", "others", "global"],
) -> None:
    """End the sessions; their access tokens are refused from now on."""
    if caller.token is None or caller.user_id is None:
        raise Unauthenticated
    await auth.sign_out(caller.token, scope)
    await revocations.publish(caller.user_id)
    await audit("logout", user_id=caller.user_id, scope=scope)
