"""HEAD is a GET whose response has no body (RFC 9110, 9.3.2)."""

import pytest

from kit.waiting import until

# Headers that differ between any two responses.
_OF_ONE_ANSWER = ("date", "x-request-id", "ratelimit", "x-cache")


@pytest.fixture
async def client(process):
    async with process.client() as client:
        yield client


def compared(answer):
    headers = {k: v for k, v in answer.headers.items() if k not in _OF_ONE_ANSWER}
    return answer.status_code, headers


@pytest.mark.parametrize(
    "path",
    ["/api/v1/alive", "/api/v1/motto", "/api/v1/things", "/api/v1/mine", "/api/v1/nowhere", "/"],
)
async def test_it_has_the_status_and_headers_of_get_and_no_body(client, path):
    found = await client.get(path)
    for _ in range(2):  # the second shows that no byte of a body is left over
        answer = await client.head(path)
        assert answer.content == b""
        expected_status, expected = compared(found)
        status, headers = compared(answer)
        assert status == expected_status
        # An error contains its request id: the length stays the same, and it has no ETag.
        assert headers == expected


async def test_it_is_conditional_as_get_is(client):
    etag = (await client.get("/api/v1/things")).headers["etag"]
    answer = await client.head("/api/v1/things", headers={"if-none-match": etag})
    assert answer.status_code == 304


async def test_a_path_without_get_has_no_head(client):
    answer = await client.head("/api/v1/enter")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.content == b""


async def test_it_is_counted_as_head(client, process):
    await client.head("/api/v1/alive")
    labels = {"method": "HEAD", "slice": "alive", "status": 200}

    async def counted():
        return (await process.metrics()).value("http_requests_total", **labels)

    await until(counted)
