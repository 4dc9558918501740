from kernel.supabase import AsService
from kernel.web import Call


async def request_password_reset(db: AsService, call: Call, *, email: str) -> None:
    """Store the request; the job finds the account and decides whether to send a mail.

    So the response takes the same time for every address.
    """
    await db.rpc(
        "request_password_reset",
        email=email,
        address=call.client_address,
        request_id=call.request_id,
    )
