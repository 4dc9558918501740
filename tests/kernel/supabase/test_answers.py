"""O11: a response that is not Supabase's own is 503 with its Retry-After, and health sees it."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.supabase import probe
from kernel.supabase.answers import hint, is_own
from kit.application import SLICES, running
from kit.front import Behaviour, Front, Seen, reply

HTML = b"<!doctype html><title>Sorry</title>"
ODD: dict[str, tuple[int, str, bytes]] = {
    "429 HTML": (429, "text/html", HTML),
    "429 JSON without a code": (429, "application/json", b'{"message":"Too many requests"}'),
    "402 a used-up quota": (402, "application/json", b'{"message":"exceed_egress_quota"}'),
    "403 HTML": (403, "text/html", HTML),
    "404 HTML": (404, "text/html", HTML),
    "401 Invalid API key": (401, "application/json", b'{"message":"Invalid API key","hint":"x"}'),
    "400 another JSON": (400, "application/json", b'["no"]'),
    "200 HTML": (200, "text/html", HTML),
    "200 empty": (200, "", b""),
    "302": (302, "text/html", HTML),
}


def odd(status: int, kind: str, body: bytes) -> Behaviour:
    headers = {"Content-Type": kind, "Retry-After": "17"} if kind else {"Retry-After": "17"}

    async def answer(seen: Seen) -> None:
        await reply(seen, status, body, **headers)

    return answer


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "SUPABASE_UNAVAILABLE"
    assert answer.headers["retry-after"] == "17"
    assert "Sorry" not in answer.text


async def answers(
    settings, front: Front, author, *, ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
) -> tuple[httpx.Response, str]:
    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for(author.token) as client:
        answer = await ask(client)
        return answer, (await client.get("/alive/supabase")).json()["data"]


@pytest.mark.parametrize("how", ODD.values(), ids=ODD)
async def test_o11_in_front_of_auth(settings, front: Front, author, how):
    front.auth = odd(*how)
    body = {"email": author.email, "password": author.password}
    answer, health = await answers(
        settings, front, author, ask=lambda client: client.post("/enter", json=body)
    )
    assert_unavailable(answer)
    assert health == "down"


@pytest.mark.parametrize("how", ODD.values(), ids=ODD)
async def test_o11_in_front_of_the_database(settings, front: Front, author, how):
    front.rest = odd(*how)
    answer, health = await answers(settings, front, author, ask=lambda client: client.get("/mine"))
    assert_unavailable(answer)
    assert health == "down"


async def test_o11_auths_own_limit_keeps_its_hint(settings, front: Front, author):
    code = b'{"code":"over_request_rate_limit","message":"Request rate limit reached"}'
    front.auth = odd(429, "application/json", code)
    body = {"email": author.email, "password": author.password}
    answer, _ = await answers(
        settings, front, author, ask=lambda client: client.post("/enter", json=body)
    )
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "TOO_MANY_REQUESTS"
    assert answer.headers["retry-after"] == "17"


async def test_o11_health_checks_the_response(settings, front: Front, author, monkeypatch):
    monkeypatch.setattr(probe, "FRESH_SECONDS", 0.0)
    app = create_app(front.settings(settings), SLICES)
    async with running(app) as client_for, client_for() as client:

        async def health() -> str:
            return str((await client.get("/alive/supabase")).json()["data"])

        assert await health() == "up"
        front.auth = odd(200, "application/json", b'{"status":"paused"}')
        assert await health() == "down"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("17", 17),
        ("0", 1),
        ("999999", 3600),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 1),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 3600),
    ],
)
def test_o11_the_hint_is_a_number_or_a_date(said, seconds):
    assert hint(httpx.Response(429, headers={"Retry-After": said})) == seconds


@pytest.mark.parametrize(
    ("part", "status", "body"),
    [
        ("auth", 400, b'{"code":"invalid_credentials","message":"Invalid login credentials"}'),
        ("auth", 400, b'{"code":400,"error_code":"invalid_credentials","msg":"Invalid"}'),
        ("auth", 204, b""),
        ("rest", 401, b'{"code":"PGRST301","details":null,"hint":null,"message":"JWT"}'),
        ("rest", 409, b'{"code":"23505","details":null,"hint":null,"message":"duplicate"}'),
        ("rest", 429, b'{"code":"PT429","details":"{}","hint":null,"message":"quota"}'),
        ("rest", 201, b""),
        ("rest", 200, b"[]"),
    ],
)
def test_o11_their_own_responses_pass(part, status, body):
    request = httpx.Request("POST", "http://supabase.test")
    assert is_own(part, httpx.Response(status, content=body, request=request))
