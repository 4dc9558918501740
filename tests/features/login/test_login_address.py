import pytest

from kernel.boot.app import create_app
from kit.application import running
from kit.front import FORWARDING_HEADERS, INVENTED_ADDRESS


@pytest.mark.parametrize("invented", FORWARDING_HEADERS)
async def test_a9_auth_sees_the_clients_own_address(settings, front, author, invented):
    headers, own = {invented: INVENTED_ADDRESS}, f"203.0.113.{len(invented)}"
    app = create_app(front.settings(settings))
    async with running(app) as client_for, client_for(address=own) as client:
        body = {"email": author.email, "password": author.password}
        answer = await client.post("/auth/login", json=body, headers=headers)
        assert answer.status_code == 200
    assert front.count("auth") == 1
    for seen in front.seen:
        assert INVENTED_ADDRESS not in str(seen.headers)
        if seen.part == "auth":
            assert seen.headers["sb-forwarded-for"] == own
