"""/, /docs and the OpenAPI document, as people read them."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest

from kernel.boot.app import create_app
from kernel.boot.documentation.pages import _FILES
from kernel.web.fields import Body
from kit.application import SLICES, running

HOST = "http://api.test"
# Swagger UI generates its own examples for these.
WITH_EXAMPLES = {"uuid", "date-time"}


@pytest.fixture
async def browser(settings):
    """A client of an application that shows its documentation; it always has the same address."""
    app = create_app(settings.model_copy(update={"app_name": "Ada & <Co>"}), SLICES)
    async with running(app) as client_for, client_for(address="203.0.113.9") as client:
        yield client


@pytest.fixture(scope="module")
def document(settings):
    return create_app(settings).openapi()


async def test_the_root_says_where_the_documentation_is(browser):
    answer = await browser.get(f"{HOST}/")
    assert answer.json() == {
        "success": True,
        "data": {
            "name": "Ada & <Co>",
            "api": "/api/v1",
            "documentation": "/docs",
            "openapi": "/openapi.json",
        },
    }
    for link in ("documentation", "openapi"):
        found = await browser.get(urljoin(f"{HOST}/", answer.json()["data"][link]))
        assert found.status_code == 200


async def test_without_documentation_the_root_names_none_and_the_pages_are_missing(settings):
    app = create_app(settings.model_copy(update={"app_env": "production"}), SLICES)
    async with running(app) as client_for, client_for() as client:
        data = (await client.get(f"{HOST}/")).json()["data"]
        assert data == {"name": settings.app_name, "api": "/api/v1"}
        for path in ("/docs", "/openapi.json", *_FILES):
            assert (await client.get(f"{HOST}{path}")).status_code == 404


async def test_what_lies_at_the_root_is_neither_limited_nor_in_the_document(browser, document):
    for path in ("/", "/docs", "/openapi.json", *_FILES):
        answer = await browser.get(f"{HOST}{path}")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
        assert path not in document["paths"]
    assert "ratelimit" in (await browser.get("/things")).headers


async def test_the_page_has_the_applications_name_and_nothing_inline(browser):
    page = (await browser.get(f"{HOST}/docs")).text
    assert "<title>Ada &amp; &lt;Co&gt;</title>" in page
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", page)


async def test_the_page_asks_its_own_server_alone(browser):
    answer = await browser.get(f"{HOST}/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len([link for link in links if link.endswith((".js", ".css"))]) == len(_FILES)
    for link in links:
        if not link.startswith("data:"):
            found = await browser.get(urljoin(f"{HOST}/docs", link))
            assert found.status_code == 200
            assert str(found.url).startswith(f"{HOST}/")
    policy = dict(
        directive.split(" ", 1)
        for directive in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    allowed = {one for value in policy.values() for one in value.split()}
    assert allowed == {"'none'", "'self'", "data:"}


async def test_a_browser_that_has_the_files_is_not_sent_them_again(browser):
    for path in _FILES:
        answer = await browser.get(f"{HOST}{path}")
        again = await browser.get(
            f"{HOST}{path}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert answer.headers["x-content-type-options"] == "nosniff"


def strings(document: dict[str, Any], schema: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the places in a schema where Swagger UI would show `string` as the example."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        yield from strings(document, document["components"]["schemas"][name], name)
    elif {"examples", "example", "enum", "const", "default"} & schema.keys():
        return
    elif schema.get("type") == "string" and schema.get("format") not in WITH_EXAMPLES:
        yield name
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(key, ()):
            yield from strings(document, part, name)
    if isinstance(schema.get("items"), dict):
        yield from strings(document, schema["items"], name)
    for field, part in schema.get("properties", {}).items():
        yield from strings(document, part, f"{name}.{field}")


def test_examples_are_real_words(document):
    told: set[str] = set()
    seen = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = [operation.get("requestBody", {})]
            bodies += [
                answer for code, answer in operation["responses"].items() if code.startswith("2")
            ]
            for body in bodies:
                for kind, content in body.get("content", {}).items():
                    if "json" not in kind:  # an archive contains no texts
                        continue
                    seen += 1
                    told.update(strings(document, content["schema"], f"{method} {path}"))
            for parameter in operation.get("parameters", ()):
                told.update(strings(document, parameter["schema"], f"{method} {path}"))
    assert seen > len(document["paths"])
    assert told == set()


def test_a_text_without_an_example_is_found(document):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    assert list(strings(document, schema, "post /x")) == ["post /x.name"]


def bodies(kind: type[Body] = Body) -> Iterator[type[Body]]:
    for one in kind.__subclasses__():
        yield one
        yield from bodies(one)


def test_examples_are_valid(document):
    kinds = [kind for kind in bodies() if kind.__module__.startswith("features.")]
    assert kinds
    for kind in kinds:
        schema = document["components"]["schemas"][kind.__name__]
        example = {
            name: part["examples"][0]
            for name, field in schema["properties"].items()
            for part in (field, *field.get("anyOf", ()))
            if "examples" in part
        }
        required = dict.fromkeys(schema.get("required", ()), True)  # without example: a boolean
        kind.model_validate(required | example)


def test_texts_are_read_as_markdown_and_lose_nothing(document):
    def texts(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if isinstance(part.get("description"), str):
                yield part["description"]
            part = list(part.values())
        if isinstance(part, list):
            for one in part:
                yield from texts(one)

    found = list(texts(document))
    assert any("Bearer" in text for text in found)
    assert [text for text in found if re.search(r"<\w", re.sub(r"`[^`]*`", "", text))] == []


def test_every_call_lists_all_that_can_be_wrong_with_a_token(document):
    codes = {"UNAUTHENTICATED", "INVALID_TOKEN", "SESSION_ENDED"}
    with_token = 0
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["security"]:
                with_token += 1
                response = operation["responses"]["401"]
                examples = response["content"]["application/json"]["examples"]
                assert codes <= examples.keys()
                for example in examples.values():
                    assert example["value"]["error"]["message"] in response["description"]
    assert with_token


def test_the_document_says_where_a_token_comes_from(document):
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert "access_token" in scheme["description"]
    assert "Authorize" in document["info"]["description"]
