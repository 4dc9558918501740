"""What HTTP asks of every answer: methods, media types, slashes, HTTPS, fields of a 422."""

import pytest
from fastapi import APIRouter

from kernel import Feature
from kernel.boot.app import create_app
from kernel.web.routing import Answer
from kit.application import SLICES, running
from kit.small import changed

THING = b'{"title": "A thing", "content": ""}'
JSON = {"Content-Type": "application/json"}


async def test_options_names_the_methods_of_a_path(anonymous):
    answer = await anonymous.options("/things")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert (await anonymous.options("/nowhere")).status_code == 404


async def test_another_method_is_405_and_names_those_there_are(anonymous):
    answer = await anonymous.patch("/things")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "multipart/form-data", "application/jsonp", "json", ""],
)
async def test_a_body_that_is_not_json_by_its_type_is_415(author, kind):
    answer = await author.post("/things", content=THING, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.a+json"]
)
async def test_every_kind_of_json_will_do(author, kind):
    answer = await author.post("/things", content=THING, headers={"Content-Type": kind})
    assert answer.status_code == 201


async def test_a_body_in_chunks_without_a_type_is_415_and_no_body_needs_none(author):
    async def chunks():
        yield THING

    assert (await author.post("/things", content=chunks())).status_code == 415
    assert (await author.post("/things")).status_code == 422


async def test_who_may_call_is_decided_before_the_type_of_the_body(anonymous):
    answer = await anonymous.post("/things", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0.000, */*", 406),
        ("*/*;q=0", 406),
        ("*/*", 200),
        ("", 200),
        ("application/*", 200),
        ("text/html, */*;q=0.1", 200),
        ("APPLICATION/JSON; q=0.5", 200),
    ],
)
@pytest.mark.parametrize("path", ["/things", "/alive"])
async def test_a_read_is_406_where_the_client_does_not_take_json(anonymous, path, accept, status):
    for _ in range(2):  # also from the cache
        answer = await anonymous.get(path, headers={"Accept": accept})
        assert answer.status_code == status
        assert status == 200 or answer.json()["error"]["code"] == "NOT_ACCEPTABLE"


async def test_a_slash_too_many_is_a_redirect_that_keeps_method_and_body(author, thing):
    answer = await author.post("/things/", content=THING, headers=JSON)
    assert (answer.status_code, answer.headers["location"]) == (308, "/api/v1/things")
    answer = await author.post("/things///", content=THING, headers=JSON, follow_redirects=True)
    assert answer.status_code == 201
    answer = await author.get(f"/things/{thing.id}/?a=b%20c")
    assert (answer.status_code, answer.headers["location"]) == (
        308,
        f"/api/v1/things/{thing.id}?a=b%20c",
    )


@pytest.mark.parametrize("path", ["/nowhere/", "//evil.example/", "/../evil.example/", "/"])
async def test_a_slash_behind_no_path_of_ours_redirects_nowhere(anonymous, path):
    answer = await anonymous.get(f"http://api.test{path}")
    assert answer.status_code in {200, 404}
    assert "location" not in answer.headers


PROXY = "192.0.2.80"


@pytest.fixture
async def production(settings):
    """Makes clients of an application in production, behind a proxy."""
    changes = {"app_env": "production", "trusted_proxies": [PROXY]}
    async with running(create_app(changed(settings, **changes), SLICES)) as client_for:
        yield client_for


async def test_in_production_a_request_that_came_by_http_is_refused(production):
    plain = {"X-Forwarded-Proto": "http"}
    async with production(address=PROXY) as client:
        answer = await client.get("/things", headers=plain)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "HTTPS_REQUIRED")
        assert answer.json()["error"]["details"]["request_id"] == answer.headers["x-request-id"]
        for headers in ({"X-Forwarded-Proto": "https"}, {}):
            assert (await client.get("/things", headers=headers)).status_code == 200
        assert (await client.get("/alive", headers=plain)).status_code in {200, 403}
    async with production(address="203.0.113.80") as client:  # no proxy of ours: its word is none
        assert (await client.get("/things", headers=plain)).status_code == 200


async def test_health_answers_by_http_in_production(settings):
    router = APIRouter()

    @router.get("/probe")
    async def probe() -> Answer[bool]:
        return Answer(data=True)

    feature = Feature(router=router, caller="ignored", limited=False)
    changes = {"app_env": "production", "trusted_proxies": [PROXY]}
    app = create_app(changed(settings, **changes), {"probe": feature})
    async with running(app) as client_for, client_for(address=PROXY) as client:
        answer = await client.get("/probe", headers={"X-Forwarded-Proto": "http"})
        assert answer.status_code == 200


async def test_no_answer_names_the_server(anonymous):
    for path in ("/things", "/nowhere", "/alive"):
        assert "server" not in (await anonymous.get(path)).headers


async def test_a_page_of_another_origin_reads_errors_too(settings):
    page = "https://pages.example"
    app = create_app(changed(settings, cors_origins=[page]), SLICES)
    async with running(app) as client_for, client_for() as client:
        for path, status in (("/nowhere", 404), ("/mine", 401), ("/things?page=0", 422)):
            answer = await client.get(path, headers={"Origin": page})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == page
        answer = await client.get("/mine", headers={"Origin": "https://other.example"})
        assert answer.status_code == 401
