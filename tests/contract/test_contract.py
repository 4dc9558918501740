"""The contract: the document, its copy in docs/, and that tokens are required as stated.

Who may call what is in docs/SLICES.md: ./app check compares it with the code.
"""

import json
import re

import httpx
import pytest

from cli.document import COPY, document, written
from kernel.boot.app import create_app
from kernel.boot.discovery import discover
from kernel.edge.routes import routes_of
from kit.contract import Contract, contract_of

ROUTES = routes_of(discover())
NOBODY = "00000000-0000-4000-8000-000000000000"


def call_of(route):
    return f"{route.method} {route.path.removeprefix('/api/v1')}"


@pytest.mark.parametrize("route", ROUTES, ids=call_of)
async def test_a_call_without_a_token_is_401_where_one_is_required(whole_anonymous, route):
    path = re.sub(r"\{\w+\}", NOBODY, route.path.removeprefix("/api/v1"))
    answer = await whole_anonymous.request(route.method, path)
    no_token = answer.status_code == 401 and answer.json()["error"]["code"] == "UNAUTHENTICATED"
    assert no_token == (route.feature.caller == "required")


@pytest.fixture(scope="module")
async def whole_anonymous(settings):
    from kit.application import running

    async with running(create_app(settings)) as client_for, client_for() as client:
        yield client


def test_the_copy_in_docs_is_the_document():
    copy, now = json.loads(COPY.read_text(encoding="utf-8")), document()
    names = [
        one["operationId"] for operations in copy["paths"].values() for one in operations.values()
    ]
    slices = tuple(discover())
    removed = [
        name
        for name in names
        if name not in slices and not name.startswith(tuple(f"{one}_" for one in slices))
    ]
    if removed:
        pytest.skip(f"a slice was removed: {', '.join(removed)}")
    # A slice that was added since changes no other file; ./app openapi --write adds it to the copy.
    for path, operations in copy["paths"].items():
        for method, operation in operations.items():
            found = now["paths"].get(path, {}).get(method)
            assert written(found) == written(operation), "run: ./app openapi --write"
    for kind, components in copy["components"].items():
        for name, component in components.items():
            assert now["components"][kind].get(name) == component, "run: ./app openapi --write"


def test_every_operation_says_what_it_is():
    names = set()
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert len(operation["tags"]) == 1, where
            assert isinstance(operation["security"], list), where
            assert {"422", "500", "503", "504"} <= operation["responses"].keys(), where
            names.add(operation["operationId"])
            for status, response in operation["responses"].items():
                assert response["description"], where
                if status >= "4":
                    assert response["content"]["application/json"]["examples"], where
    assert len(names) == sum(map(len, document()["paths"].values()))


def test_what_the_document_does_not_say_is_found(settings):
    contract = contract_of(create_app(settings))
    (path, operation) = next(
        (path, operations["get"])
        for path, operations in document()["paths"].items()
        if "get" in operations and "{" not in path and "429" in operations["get"]["responses"]
    )
    headers = {"x-request-id": "0" * 32, "cache-control": "no-store", "retry-after": "1"}
    failure = {"success": False, "error": {"code": "A", "message": "b", "details": {}}}
    good = httpx.Response(429, headers=headers, json=failure)
    contract.check("GET", path, good)
    failure = {"success": False, "error": {"message": "b", "details": {}}}
    wrong = [
        httpx.Response(418, headers=headers, json=failure),
        httpx.Response(429, headers=headers, json=failure),
        httpx.Response(429, headers=headers | {"retry-after": "soon"}, json=json.loads(good.text)),
        httpx.Response(429, json=json.loads(good.text)),
        httpx.Response(429, headers=headers, text="no"),
        httpx.Response(200, headers=headers | {"etag": '"a"'}, json={"success": True}),
    ]
    assert operation["operationId"] in contract._strict
    for answer in wrong:
        with pytest.raises((AssertionError, ValueError)):
            contract.check("GET", path, answer)


def test_an_operation_that_may_answer_anything_does_so():
    document = {
        "paths": {"/api/v1/x": {"get": {"operationId": "x", "responses": {"200": {}}}}},
    }
    answer = httpx.Response(307)
    Contract(document, frozenset()).check("GET", "/api/v1/x", answer)
    with pytest.raises(AssertionError, match="does not list"):
        Contract(document, frozenset({"x"})).check("GET", "/api/v1/x", answer)
