"""O21: a token that is refused after a correct password is never the caller's error."""

import pytest

from kernel.boot.app import create_app
from kit.application import running


@pytest.mark.parametrize(
    "wrong",
    [
        {"jwt_secret": "x8J2mQ4vT6yB1nC3zL5kH7gF9dS0aPwRe"},
        {"jwt_issuer": "https://elsewhere.example.com"},
        {"jwt_audience": "nobody"},
    ],
    ids=str,
)
async def test_o21_a_wrong_setting_is_503_and_one_line_in_the_log(settings, author, capfd, wrong):
    changed = settings.model_validate(settings.model_dump() | wrong)
    body = {"email": author.email, "password": author.password}
    async with running(create_app(changed)) as client_for, client_for() as client:
        answer = await client.post("/auth/login", json=body)
    assert answer.status_code == 503
    written = capfd.readouterr().out
    lines = [line for line in written.splitlines() if '"kernel.identity.tokens"' in line]
    assert len(lines) == 1
    assert "JWT_SECRET, JWT_ISSUER and JWT_AUDIENCE" in lines[0]
    assert author.email not in written
