"""FastAPI serves a request only for the slice that the Edge has found for it."""

import httpx
import pytest

from kernel.boot.app import create_app
from kernel.web.call import SCOPE_KEY, Call
from kit.application import API, SLICES


@pytest.fixture
def ask(settings):
    """Sends a request past the Edge, as one that it has admitted for a slice."""
    app = create_app(settings, SLICES)

    async def ask(feature, path, method="GET"):
        async def admitted(scope, receive, send):
            call = Call(request_id="0" * 32, client_address="203.0.113.7", feature=feature)
            await app.behind({**scope, SCOPE_KEY: call}, receive, send)

        transport = httpx.ASGITransport(app=admitted)
        async with httpx.AsyncClient(transport=transport, base_url=API) as client:
            return await client.request(method, path)

    return ask


async def test_a_request_is_answered_by_the_slice_that_it_was_admitted_for(ask):
    assert (await ask("alive", "/alive")).status_code == 200


@pytest.mark.parametrize("feature", [None, "whoami", "unknown"])
async def test_a_request_that_was_not_admitted_for_a_slice_is_404_there(ask, feature):
    found = await ask(feature, "/alive")
    assert (found.status_code, found.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_another_method_of_a_path_is_405(ask):
    for feature in ("alive", None):
        found = await ask(feature, "/alive", "DELETE")
        assert (found.status_code, found.headers["allow"]) == (405, "GET")
