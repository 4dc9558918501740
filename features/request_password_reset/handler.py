from kernel.supabase import AsService


async def request_password_reset(
    db: AsService, *, email: str, client_address: str | None, request_id: str
) -> None:
    """Write the request down; whose it is, and whether a mail is sent, is looked up by the job.

    So the answer takes the same time for every address.
    """
    await db.rpc(
        "request_password_reset", email=email, address=client_address, request_id=request_id
    )
