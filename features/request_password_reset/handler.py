from kernel.supabase import AsService
from kernel.web import Call


async def request_password_reset(db: AsService, call: Call, *, email: str) -> None:
    """Write the request down; whose it is, and whether a mail is sent, is looked up by the job.

    So the answer takes the same time for every address.
    """
    await db.rpc(
        "request_password_reset",
        email=email,
        address=call.client_address,
        request_id=call.request_id,
    )
