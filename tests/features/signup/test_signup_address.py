import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.front import FORWARDING_HEADERS, INVENTED_ADDRESS
from kit.people import PASSWORD, new_email


@pytest.mark.parametrize("invented", FORWARDING_HEADERS)
async def test_a9_auth_sees_the_clients_own_address(settings, front, author, invented):
    headers, own = {invented: INVENTED_ADDRESS}, f"203.0.113.{len(invented)}"
    app = create_app(front.settings(settings))
    async with running(app) as client_for, client_for(address=own) as client:
        body = {"email": new_email(), "password": PASSWORD}
        answer = await client.post("/auth/signup", json=body, headers=headers)
        assert answer.status_code == 201
    for seen in front.seen:
        assert INVENTED_ADDRESS not in str(seen.headers)
    (at_auth,) = [seen for seen in front.seen if seen.target == "/auth/v1/signup"]
    assert at_auth.headers["sb-forwarded-for"] == own
