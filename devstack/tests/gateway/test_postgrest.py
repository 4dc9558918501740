"""The PostgREST part of the gateway against the recorded responses of a real PostgREST."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from devstack.gateway.config import GatewayConfig
from devstack.tests.gateway.rest_kit import RECORDINGS, fresh_database, headers, load_schema, serve

RECORDING = json.loads((RECORDINGS / "postgrest.json").read_text(encoding="utf-8"))
EXCHANGES: list[dict[str, Any]] = RECORDING["exchanges"]
# Recorded exchanges that are not replayed exactly, with the reason; none so far.
LEFT_OUT: dict[str, str] = {}
AT_LEAST = 100

# The date of the recording: a value with it is only compared by its format.
_RECORDED_NOW = "2026-11-23T"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@pytest.fixture(scope="session")
async def contract_database(postgres_url: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_url) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def answers(contract_database: str) -> list[httpx.Response]:
    """The responses to the whole recording, replayed in order, so that reads see earlier writes."""
    await load_schema(contract_database)
    config = GatewayConfig(
        database_url=contract_database,
        public_url="http://rest.test",
        jwt_secret=RECORDING["jwt_secret"],
        max_rows=RECORDING["db_max_rows"],
    )
    async with serve(config) as client:
        return [await _send(client, config, exchange) for exchange in EXCHANGES]


async def _send(
    client: httpx.AsyncClient, config: GatewayConfig, exchange: dict[str, Any]
) -> httpx.Response:
    request = exchange["request"]
    body = request["body"]
    if body is not None:
        body = body if isinstance(body, str) else json.dumps(body)
    return await client.request(
        request["method"],
        request["path"],
        headers=request["headers"] | headers(config, exchange["as"]),
        content=body,
    )


@pytest.mark.parametrize("number", range(len(EXCHANGES)), ids=[e["name"] for e in EXCHANGES])
async def test_answers_as_recorded(answers: list[httpx.Response], number: int):
    exchange, answer = EXCHANGES[number], answers[number]
    if exchange["name"] in LEFT_OUT:
        assert answer.status_code == 501, answer.text
        assert answer.json()["message"].endswith(".")
    else:
        assert not list(_differences(exchange, answer))


def test_replays_nearly_everything(answers: list[httpx.Response], summary: Callable[[str], None]):
    pairs = zip(EXCHANGES, answers, strict=True)
    failed = [e["name"] for e, answer in pairs if any(_differences(e, answer))]
    good = len(EXCHANGES) - len(failed)
    summary(f"PostgREST: {good} of {len(EXCHANGES)} recorded exchanges replayed")
    for name, reason in LEFT_OUT.items():
        summary(f"PostgREST, left out: {name}: {reason}")
    assert good >= AT_LEAST
    assert set(failed) == set(LEFT_OUT)


def _differences(exchange: dict[str, Any], answer: httpx.Response) -> Any:
    expected, note = exchange["response"], exchange.get("note", "")
    if answer.status_code != expected["status"]:
        yield answer.status_code, expected["status"], answer.text
    for name, value in expected["headers"].items():
        found, wanted = answer.headers.get(name), value
        if "estimate" in note and name == "content-range":
            found, wanted = (re.sub(r"\d+$", "n", each or "") for each in (found, value))
        if found != wanted:
            yield name, found, wanted
    if "body is not recorded" in note:
        # The recorded Content-Length was wrong here; ours must be right.
        if int(answer.headers["content-length"]) != len(answer.content):
            yield "content-length", answer.headers["content-length"], len(answer.content)
        return
    found = _body(answer)
    if not _alike(expected["body"], found):
        yield found, expected["body"]


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def _alike(expected: Any, found: Any) -> bool:
    if isinstance(expected, str) and expected.startswith(_RECORDED_NOW):
        return isinstance(found, str) and _TIME.fullmatch(found) is not None
    if isinstance(expected, dict) and isinstance(found, dict):
        # Compared as lists, because the order of keys matters.
        return list(expected) == list(found) and all(_alike(expected[k], found[k]) for k in found)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_alike, expected, found))
    return type(expected) is type(found) and bool(expected == found)
