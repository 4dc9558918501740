import base64
import hashlib
import hmac
import time
from uuid import uuid4

import pytest

from kernel.boot.app import create_app
from kit.application import running, whole

KEY = b"k" * 32
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
URL = "/hooks/deliveries"
BODY = b'{"type": "paid", "amount": 7}'


def signed(body=BODY, *, key=KEY, at=0, message_id=None):
    """Return the headers of a message, signed `at` seconds from now."""
    message_id = message_id or uuid4().hex
    moment = int(time.time()) + at
    content = f"{message_id}.{moment}.".encode() + body
    digest = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,{digest}",
    }


@pytest.fixture
async def sender(settings, monkeypatch):
    """A client of an application that has the secret."""
    monkeypatch.setenv("RECEIVE_DELIVERY_SECRET", SECRET)
    async with running(create_app(settings, whole())) as client_for, client_for() as client:
        yield client


@pytest.fixture
def stored(database):
    """Returns the contents that are stored of a message: `await stored(headers)`."""

    async def stored(headers):
        query = "select content::text from public.deliveries where message_id = $1"
        return [row["content"] for row in await database.fetch(query, headers["webhook-id"])]

    return stored


async def test_anyone_may_call(sender, stored):
    headers = signed()
    answer = await sender.post(URL, content=BODY, headers=headers)
    assert answer.status_code == 202
    assert answer.json()["data"] == {"message_id": headers["webhook-id"]}
    assert await stored(headers) == ['{"type": "paid", "amount": 7}']


async def test_a_repeated_message_is_stored_once(sender, stored):
    headers = signed()
    answers = [await sender.post(URL, content=BODY, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(await stored(headers)) == 1


@pytest.mark.parametrize("seconds", [-310, 310])
async def test_a_message_of_another_time_is_403(sender, stored, seconds):
    headers = signed(at=seconds)
    answer = await sender.post(URL, content=BODY, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "DELIVERY_REFUSED"
    assert await stored(headers) == []


@pytest.mark.parametrize(
    "changes",
    [
        signed(key=b"x" * 32) | {"webhook-id": "a"},
        {"webhook-id": "another"},
        {"webhook-timestamp": str(int(time.time()) - 60)},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1a,k v2,k"},
    ],
)
async def test_a_message_that_is_not_signed_like_this_is_403(sender, stored, changes):
    headers = signed() | changes
    assert (await sender.post(URL, content=BODY, headers=headers)).status_code == 403
    assert await stored(headers) == []


async def test_another_body_is_403(sender):
    answer = await sender.post(URL, content=BODY + b" ", headers=signed())
    assert answer.status_code == 403


async def test_a_message_that_is_signed_with_two_secrets_is_accepted(sender):
    headers = signed()
    headers["webhook-signature"] = f"v1,b2xk {headers['webhook-signature']}"
    assert (await sender.post(URL, content=BODY, headers=headers)).status_code == 202


async def test_a_message_without_signature_is_422(sender):
    headers = {"content-type": "application/json"}
    assert (await sender.post(URL, content=BODY, headers=headers)).status_code == 422


@pytest.mark.parametrize("body", [b"{", b"null", b'{"a": "\\u0000"}', b"\xff"])
async def test_a_body_that_cannot_be_stored_is_422(sender, body):
    assert (await sender.post(URL, content=body, headers=signed(body))).status_code == 422


async def test_without_a_secret_nothing_is_accepted(anonymous, stored):
    headers = signed()
    answer = await anonymous.post(URL, content=BODY, headers=headers)
    assert answer.status_code == 503
    assert await stored(headers) == []
