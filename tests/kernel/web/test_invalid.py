"""What a 422 says: what is wrong and what is allowed, and nothing of the input."""

from typing import Literal

import pytest
from fastapi import APIRouter
from pydantic import model_validator

from kernel import Feature
from kernel.boot.app import create_app
from kernel.web import Body, invalid
from kit.application import running

SAID = "The end is before the start: {start} > {end}."


class Span(Body):
    start: int
    end: int
    open: bool = False
    kind: Literal["day", "night"] = "day"

    @model_validator(mode="after")
    def _in_order(self) -> "Span":
        if self.open:
            raise ValueError(f"a secret: {self.start}")
        if self.end < self.start:
            raise invalid(SAID)
        return self


async def test_a_slices_own_message_is_shown_and_others_are_not(settings):
    router = APIRouter()

    @router.post("/spans")
    async def keep(span: Span) -> None: ...

    features = {"keep_span": Feature(router=router, caller="ignored")}
    async with running(create_app(settings, features)) as client_for, client_for() as client:
        own = await client.post("/spans", json={"start": 2, "end": 1})
        other = await client.post("/spans", json={"start": 4711, "end": 1, "open": True})
    assert own.status_code == other.status_code == 422
    (shown,) = own.json()["error"]["details"]["fields"]
    assert shown == {"field": "body", "message": SAID}
    (hidden,) = other.json()["error"]["details"]["fields"]
    assert hidden == {"field": "body", "message": "This value is not valid."}
    assert "4711" not in other.text


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"start": 1, "end": 2, "kind": "4711"}, "body.kind", "Input should be 'day' or 'night'"),
        (["4711"], "body", "This is not an object."),
        ("4711", "body", "This is not an object."),
    ],
)
async def test_a_caller_reads_what_is_allowed(settings, body, field, message):
    router = APIRouter()

    @router.post("/spans")
    async def keep(span: Span) -> None: ...

    features = {"keep_span": Feature(router=router, caller="ignored")}
    async with running(create_app(settings, features)) as client_for, client_for() as client:
        answer = await client.post("/spans", json=body)
    assert answer.json()["error"]["details"]["fields"] == [{"field": field, "message": message}]
    assert "4711" not in answer.text
