"""O20: one slow endpoint of Auth stops no logins; calls that send mail have a longer deadline."""

import asyncio

from kernel.boot.app import create_app
from kernel.supabase.breaker import FAILURES
from kit.application import SLICES, running
from kit.front import Front, Seen, silent, works
from kit.people import PASSWORD, new_email


async def test_o20_refreshes_without_an_answer_stop_no_login(settings, front: Front, author):
    async def slow_refreshes(seen: Seen) -> None:
        await (silent if "grant_type=refresh_token" in seen.target else works)(seen)

    front.auth = slow_refreshes
    app = create_app(front.settings(settings, supabase_timeout_seconds=1.5), SLICES)
    async with running(app) as client_for, client_for() as client:

        async def renew(number: int) -> int:
            body = {"refresh_token": f"{number:012}"}
            return (await client.post("/renew", json=body)).status_code

        assert set(await asyncio.gather(*map(renew, range(2 * FAILURES)))) == {503}
        asked = front.count("auth")
        assert await renew(0) == 503
        assert front.count("auth") == asked  # the endpoint's own breaker is open
        body = {"email": author.email, "password": PASSWORD}
        assert (await client.post("/enter", json=body)).status_code == 200


async def test_o20_a_mail_server_may_take_its_time(settings, front: Front):
    async def slow_mail(seen: Seen) -> None:
        if "/signup" in seen.target:
            await asyncio.sleep(1)  # longer than the deadline of other calls
        await works(seen)

    front.auth = slow_mail
    changes = {"supabase_timeout_seconds": 0.5, "supabase_mail_timeout_seconds": 20}
    app = create_app(front.settings(settings, **changes), SLICES)
    async with running(app) as client_for, client_for() as client:
        body = {"email": new_email(), "password": PASSWORD}
        answer = await client.post("/join", json=body)
    # The account exists; on a busy machine the reads after it may miss their deadline.
    assert answer.status_code in {201, 503}
    assert any("/rpc/" in seen.target for seen in front.seen)
