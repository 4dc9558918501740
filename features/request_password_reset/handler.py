from kernel.supabase import AsService


async def request_password_reset(
    db: AsService, *, email: str, client_address: str | None, request_id: str
) -> None:
    """Store the request; the job finds the account and decides whether to send a mail.

    So the response takes the same time for every address.
    """
    await db.rpc(
        "request_password_reset", email=email, address=client_address, request_id=request_id
    )
