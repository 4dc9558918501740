"""Headers of every response, hosts and origins: what the Edge adds, and what it does not change."""

import pytest
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from kernel import Feature
from kernel.boot.app import create_app
from kernel.edge.headers import StandingHeaders, added
from kernel.edge.hosts import Hosts
from kit.application import running
from kit.small import changed, feature

OURS, EVIL = "https://app.example", "https://evil.example"
SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def page() -> Feature:
    router = APIRouter()

    @router.get("/page", response_class=HTMLResponse)
    async def show() -> HTMLResponse:
        policy = {"Content-Security-Policy": "default-src 'self'", "Referrer-Policy": "origin"}
        return HTMLResponse("<p>A page", headers=policy)

    return Feature(router=router, caller="ignored")


@pytest.mark.parametrize(
    ("path", "status"), [("/call", 200), ("/nowhere", 404), ("/call?boom", 200)]
)
async def test_an_answer_has_the_headers_of_security(settings, path, status):
    app = create_app(settings, {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        answer = await client.get(path)
    assert answer.status_code == status
    assert SECURITY.items() <= dict(answer.headers).items()
    assert "strict-transport-security" not in answer.headers


async def test_a_refusal_of_the_limit_has_them_too(settings):
    app = create_app(changed(settings, rate_limit_default="1/minute"), {"call": feature()})
    async with running(app) as client_for, client_for(address="203.0.113.9") as client:
        answers = [await client.get("/call") for _ in range(2)]
    assert answers[1].status_code == 429
    assert SECURITY.items() <= dict(answers[1].headers).items()


async def test_in_production_responses_have_hsts(settings):
    app = create_app(changed(settings, app_env="production"), {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        answer = await client.get("/call")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_a_page_with_a_policy_of_its_own_keeps_it(settings):
    async with (
        running(create_app(settings, {"page": page()})) as client_for,
        client_for() as client,
    ):
        answer = await client.get("/page")
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers.get_list("referrer-policy") == ["origin"]
    assert "x-frame-options" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_vary_is_not_added_without_a_value():
    block = StandingHeaders(origins=[OURS]).of(None)
    assert added([(b"vary", b"Authorization")], block) == block


# Origins -------------------------------------------------------------------------------------


@pytest.fixture
async def browser(settings):
    app = create_app(changed(settings, cors_origins=[OURS]), {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        yield client


async def test_an_answer_varies_by_origin_also_where_none_was_sent(browser):
    for headers in ({}, {"Origin": OURS}, {"Origin": EVIL}):
        assert "Origin" in (await browser.get("/call", headers=headers)).headers["vary"]


async def test_a_preflight_is_answered_without_a_look_at_the_limit(browser):
    ask = {"Origin": OURS, "Access-Control-Request-Method": "GET"}
    answer = await browser.options("/call", headers=ask)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == OURS
    assert answer.headers.get_list("vary") == ["Origin"]
    assert "ratelimit" not in answer.headers
    assert SECURITY.items() <= dict(answer.headers).items()


async def test_a_refused_preflight_is_an_error_in_the_envelope(browser):
    ask = {"Origin": EVIL, "Access-Control-Request-Method": "GET"}
    answer = await browser.options("/call", headers=ask)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CORS_REFUSED")
    assert "access-control-allow-origin" not in answer.headers


async def test_what_is_no_preflight_is_a_request(browser):
    answer = await browser.options("/call", headers={"Origin": OURS})
    assert (answer.status_code, answer.headers["allow"][-7:]) == (204, "OPTIONS")


def test_any_origin_may_be_allowed():
    headers = dict(StandingHeaders(origins=["*"]).of(EVIL.encode()))
    assert headers[b"access-control-allow-origin"] == b"*"


# Hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        (b"api.example", True),
        (b"API.example:8000", True),
        (b"a.below.example", True),
        (b"a.b.below.example:80", True),
        (b"[::1]:8000", True),
        (b"[::1]", True),
        (b"below.example", False),
        (b"evilbelow.example", False),
        (b"api.example.evil", False),
        (b"evil/api.example", False),
        (b"", False),
        (b":80", False),
        (b"[::2]:8000", False),
        (b"[", False),
        (b"\xff", False),
    ],
)
def test_only_the_allowed_hosts_are_admitted(host, admitted):
    assert Hosts(["api.example", "*.below.example", "[::1]"]).admits(host) is admitted


async def test_another_host_is_an_error_in_the_envelope(settings):
    app = create_app(changed(settings, allowed_hosts=["api.test"]), {"call": feature()})
    async with running(app) as client_for, client_for() as client:
        assert (await client.get("/call")).status_code == 200
        for headers in ([("Host", "evil.test")], [("Host", "api.test"), ("Host", "api.test")]):
            answer = await client.get("/call", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "HOST_NOT_ALLOWED")
