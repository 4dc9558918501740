"""What web pages may do with the gateway in a browser: only local pages may read responses."""

import httpx
import pytest

from devstack.gateway.app import create_app
from devstack.testing import GatewayConfig

CONFIG = GatewayConfig(database_url="postgresql://127.0.0.1:1/none", public_url="http://127.0.0.1")


@pytest.fixture
async def browser():
    # Its lifespan does not run: no test here queries the database.
    transport = httpx.ASGITransport(app=create_app(CONFIG))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:54321") as client:
        yield client


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "http://localhost",
        "https://127.0.0.1:5173",
        "http://[::1]:8080",
        "http://shop.localhost:3000",
    ],
)
async def test_a_local_page_may_call_and_read(browser, origin):
    answer = await browser.get("/", headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Content-Range", "Location", "Upload-Offset", "Tus-Resumable"} <= set(exposed)
    asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    asked["Access-Control-Request-Headers"] = "apikey, authorization"
    preflight = await browser.options("/rest/v1/posts", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == origin
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://evil.example:3000/localhost",
        "http://evillocalhost:3000",
        "http://127.0.0.1.evil.example",
        "http://127a0a0a1",
        "http://localhost:3000.evil.example",
        "http://user@localhost",
    ],
)
async def test_a_page_from_elsewhere_reads_nothing(browser, origin):
    answer = await browser.get("/", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    preflight = await browser.options("/rest/v1/posts", headers=asked)
    assert preflight.status_code == 400
    assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:54321", "localhost.evil.example"])
async def test_a_foreign_host_name_that_points_here_is_refused(browser, host):
    for path in ("/", "/auth/v1/settings", "/rest/v1/posts", "/storage/v1/bucket"):
        assert (await browser.get(path, headers={"Host": host})).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:54321", "localhost:54321", "10.0.2.2:54321"])
async def test_names_of_this_machine_are_served(browser, host):
    assert (await browser.get("/", headers={"Host": host})).status_code == 200
