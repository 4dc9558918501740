"""H5: a hanging request ends at its deadline, and its resources are released."""

import asyncio
import contextlib
import json

import pytest
from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from kernel import Feature
from kernel.boot.app import create_app
from kernel.cache import Cached, everyone, minutes, seconds
from kernel.edge.deadline import within
from kernel.errors import DeadlineExceeded
from kernel.web.routing import Answer
from kit.application import running
from kit.serving import serving
from kit.small import changed
from kit.waiting import until

SHORT = 0.3
LONG = 6.0  # a busy machine does not stand still for 0.4 of it


class Work:
    """The work of a handler: it hangs until a test releases it; `held` counts open resources."""

    def __init__(self):
        self.held, self.done = 0, []
        self.goes_on = asyncio.Event()

    @contextlib.asynccontextmanager
    async def resource(self):
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def feature(work):
    router = APIRouter()
    kept = Cached("kept", ttl=minutes(1), audience=everyone)

    async def resource():
        async with work.resource():
            yield

    @router.post("/hang", dependencies=[Depends(resource)])
    async def hang(request: Request) -> Answer[str]:
        async with work.resource():
            await request.body()
            await work.goes_on.wait()
            work.done.append("hang")
        return Answer("done")

    @router.get("/kept")
    @kept.serves
    async def read_kept() -> Answer[str]:
        async with work.resource():
            await work.goes_on.wait()
        return Answer("kept")

    @router.get("/own-timeout")
    async def own_timeout() -> None:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)

    @router.get("/stream/{parts}")
    async def stream(parts: int, pause: float = 0) -> StreamingResponse:
        async def body():
            async with work.resource():
                for _ in range(parts):
                    await asyncio.sleep(pause)
                    yield b"part"
                await work.goes_on.wait()

        return StreamingResponse(body())

    return Feature(router=router, caller="ignored")


@pytest.fixture
async def client(settings, feature, valkey):
    app = create_app(
        changed(settings, request_timeout_seconds=SHORT, redis_port=valkey.port), {"work": feature}
    )
    async with running(app) as client_for, client_for() as client:
        yield client


async def succeeds(call):
    return (await call).status_code == 200


def is_deadline(answer):
    assert answer.status_code == 504, answer.text
    assert answer.headers["cache-control"] == "no-store"
    error = answer.json()["error"]
    assert error["code"] == "DEADLINE_EXCEEDED"
    assert error["details"]["request_id"] == answer.headers["x-request-id"]


async def test_h5_a_handler_that_hangs_is_504_and_its_resources_come_back(client, work):
    answers = await asyncio.gather(*(client.post("/hang") for _ in range(50)))
    for answer in answers:
        is_deadline(answer)
    assert (work.held, work.done) == (0, [])
    work.goes_on.set()
    await until(lambda: succeeds(client.post("/hang")))


async def test_h5_a_cached_read_that_hangs_is_504_and_the_next_one_loads(client, work):
    is_deadline(await client.get("/kept"))
    assert work.held == 0
    work.goes_on.set()
    await until(lambda: succeeds(client.get("/kept")))


async def test_h5_a_stream_that_hangs_before_its_first_part_is_504(client, work):
    is_deadline(await client.get("/stream/0"))
    assert work.held == 0


async def test_h5_a_stream_that_hangs_later_breaks_off(client, work):
    with pytest.raises(DeadlineExceeded):
        await client.get("/stream/2")
    assert work.held == 0


@pytest.mark.slow
async def test_h5_a_body_or_stream_in_progress_may_take_longer_than_the_deadline(
    settings, feature, work
):
    work.goes_on.set()

    async def body():
        for _ in range(2):
            await asyncio.sleep(LONG * 0.6)
            yield b"part"

    app = create_app(changed(settings, request_timeout_seconds=LONG), {"work": feature})
    async with running(app) as client_for, client_for() as client:
        sent, streamed = await asyncio.gather(
            client.post("/hang", content=body()), client.get(f"/stream/2?pause={LONG * 0.6}")
        )
    assert sent.status_code == 200
    assert streamed.content == b"part" * 2


async def test_h5_a_stream_that_is_cut_off_ends_without_the_last_chunk(work):
    async def streams(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await asyncio.Event().wait()

    async def app(scope, receive, send):
        await within(SHORT, streams, scope, receive, send, feature=None)

    async with serving(app) as server:
        answer = await server.answer(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert answer.endswith(b"4\r\npart\r\n")  # without the chunk that ends a body


async def test_a_timeout_of_a_handlers_own_is_a_500(client):
    answer = await client.get("/own-timeout")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")


async def test_a_slice_may_have_a_deadline_of_its_own(settings, feature, work):
    own = Feature(router=feature.router, caller="ignored", deadline=seconds(20))
    app = create_app(changed(settings, request_timeout_seconds=0.05), {"work": own})
    async with running(app) as client_for, client_for() as client:
        asked = asyncio.create_task(client.post("/hang"))
        await asyncio.wait([asked], timeout=0.5)
        work.goes_on.set()
        assert (await asked).status_code == 200


async def test_h5_a_client_that_leaves_cancels_nothing(settings, feature, work):
    sent = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/v1/hang", "raw_path": b"/api/v1/hang", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"api.test")],
        "client": ("198.18.0.1", 1), "server": ("api.test", 80),
    }  # fmt: skip
    app = create_app(settings, {"work": feature})
    async with running(app):
        asked = asyncio.create_task(app(scope, receive, send))
        await until(lambda: work.held)
        work.goes_on.set()
        await asked
    assert work.done == ["hang"]
    assert json.loads(sent[1]["body"])["data"] == "done"
