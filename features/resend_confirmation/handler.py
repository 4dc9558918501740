from kernel.supabase import AsService
from kernel.web import Call


async def resend_confirmation(db: AsService, call: Call, *, email: str) -> None:
    """Store the request; the job decides whether to send a mail.

    So the response takes the same time for every address.
    """
    await db.rpc(
        "resend_confirmation",
        email=email,
        address=call.client_address,
        request_id=call.request_id,
    )
