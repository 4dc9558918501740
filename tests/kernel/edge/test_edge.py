"""The Edge and the format of errors, in small applications that each test defines itself."""

import json
import logging
import re

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from kernel import Feature
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.config.settings import Settings
from kernel.edge.routes import routes_of
from kernel.web.routing import Answer
from kit.application import SLICES, running
from kit.output import access_lines
from kit.small import changed

SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "required": [{"bearer": []}],
    "optional": [{"bearer": []}, {}],
    "ignored": [],
}


class Body(BaseModel):
    number: int


def small_app(settings: Settings, **options):
    router = APIRouter()

    @router.get("/boom")
    async def boom() -> None:
        raise RuntimeError("token=hidden")

    @router.post("/echo")
    async def echo(body: Body) -> Answer[int]:
        return Answer(body.number)

    return create_app(settings, {"small": Feature(router=router, **options)})


@pytest.fixture
async def small(settings):
    async with running(small_app(settings, caller="ignored")) as client_for, client_for() as client:
        yield client


async def test_every_answer_has_a_request_id(anonymous, small):
    for answer in (
        await anonymous.get("/alive"),
        await anonymous.get("/nowhere"),
        await anonymous.get("/mine"),
        await small.get("/boom"),
    ):
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


PROXY = "192.0.2.80"


@pytest.fixture
async def behind_proxy(settings):
    """A client whose requests come through a trusted proxy."""
    app = small_app(changed(settings, trusted_proxies=[PROXY]), caller="ignored")
    async with running(app) as client_for, client_for(address=PROXY) as client:
        yield client


@pytest.mark.parametrize("sent", ["abcdefgh", "A.b_c-9" * 10, "x" * 128])
async def test_a_request_id_of_a_trusted_proxy_is_ours(behind_proxy, sent):
    answer = await behind_proxy.get("/nowhere", headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == sent
    assert answer.json()["error"]["details"]["request_id"] == sent


async def test_s11_a_callers_request_id_is_a_second_field_of_the_log_and_not_ours(small, capfd):
    sent = "0123456789abcdef0123456789abcdef"
    answer = await small.get("/nowhere", headers={"X-Request-ID": sent})
    own = answer.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", own)
    assert own != sent
    assert answer.json()["error"]["details"]["request_id"] == own
    (line,) = await access_lines(capfd)
    assert (line["request_id"], line["sent_id"]) == (own, sent)


@pytest.mark.parametrize(
    "sent", ["short", "x" * 129, "with blank inside", "semi;colon", "ünicode!"]
)
async def test_any_other_request_id_is_replaced(anonymous, sent):
    answer = await anonymous.get("/nowhere", headers={"X-Request-ID": sent.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


async def test_an_unexpected_error_is_500_in_the_envelope_and_logged(small, caplog):
    with caplog.at_level(logging.ERROR):
        answer = await small.get("/boom")
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": {
            "code": "INTERNAL_ERROR",
            "message": answer.json()["error"]["message"],
            "details": {"request_id": answer.headers["x-request-id"]},
        },
    }
    assert "hidden" not in answer.text
    assert any(record.exc_info for record in caplog.records)


async def test_an_unknown_path_is_404_and_a_wrong_method_405_in_the_envelope(anonymous):
    missing = await anonymous.get("/nowhere")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert missing.headers["cache-control"] == "no-store"
    wrong = await anonymous.put("/things")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "GET, HEAD, POST"


async def test_a_role_is_asked_for_before_the_body_is_looked_at(settings, author):
    app = small_app(settings, role="admin")
    async with running(app) as client_for, client_for(author.token) as client:
        answer = await client.post("/echo", content=b"{", headers={"content-type": "text/plain"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YTpi")],
        [("Authorization", "Bearer")],
        [("Authorization", "")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ],
)
async def test_a_malformed_authorization_is_401_also_where_a_token_is_optional(anonymous, headers):
    answer = await anonymous.get("/things", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_TOKEN"


async def test_the_access_line_says_what_happened_and_nothing_secret(anonymous, capfd):
    await anonymous.get("/things?token=hidden", headers={"Cookie": "hidden=1"})
    (line,) = await access_lines(capfd)
    assert (line["slice"], line["method"], line["path"], line["status"]) == (
        "list_things",
        "GET",
        "/api/v1/things",
        200,
    )
    assert line["duration_ms"] > 0
    assert "hidden" not in json.dumps(line)


async def test_cors_lets_only_configured_origins_read(settings):
    app = small_app(
        settings.model_copy(update={"cors_origins": ["https://app.example"]}), caller="ignored"
    )
    async with running(app) as client_for, client_for() as client:
        for origin, expected in (
            ("https://app.example", "https://app.example"),
            ("https://evil.example", None),
        ):
            for answer in (
                await client.get("/boom", headers={"Origin": origin}),
                await client.options(
                    "/echo", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
                ),
            ):
                assert answer.headers.get("access-control-allow-origin") == expected


async def test_a_path_that_the_edge_did_not_match_is_404_although_starlette_matches_it(settings):
    # A trailing newline: Starlette's route pattern matches it, the Edge's does not.
    async with running(small_app(settings)) as client_for, client_for() as client:
        answer = await client.get("/boom%0A")
    assert answer.status_code == 404


@pytest.mark.parametrize("features", [SLICES, None], ids=["the kit's", "the application's"])
async def test_openapi_says_who_may_call_and_which_errors_there_are(settings, features):
    app = create_app(settings, features)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert (await client.get("/docs")).status_code == 200
    for route in routes_of(discover() if features is None else features):
        operation = paths[route.path][route.method.lower()]
        assert operation["security"] == SECURITY[route.feature.caller]
        assert ("304" in operation["responses"]) is (
            route.method == "GET" and route.feature.limited
        )
    for operations in paths.values():
        for operation in operations.values():
            assert {"422", "500", "503"} <= set(operation["responses"])
            schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
            assert schema["$ref"].endswith("/Failure")


async def test_openapi_shows_an_error_as_it_is_answered(settings):
    paths = create_app(settings, SLICES).openapi()["paths"]
    thing = paths["/api/v1/things/{thing_id}"]["get"]
    assert "304" in thing["responses"]
    assert "304" not in paths["/api/v1/alive"]["get"]["responses"]
    assert "THING_NOT_FOUND" in thing["responses"]["404"]["content"]["application/json"]["examples"]


async def test_production_hides_the_documents(settings):
    app = create_app(settings.model_copy(update={"app_env": "production"}), SLICES)
    async with running(app) as client_for, client_for() as client:
        for path in ("http://api.test/docs", "http://api.test/openapi.json"):
            assert (await client.get(path)).status_code == 404
