"""A5: no failure of Supabase writes a password or a token to a log."""

import asyncio
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from kernel import Feature
from kernel.boot.app import create_app
from kernel.config.settings import Settings
from kernel.observe.logs import LogFormatter
from kernel.supabase.breaker import FAILURES
from kit.application import running
from kit.front import Behaviour, Front, Seen, dies, fails, refuses, reply, silent
from kit.people import Person


async def repeats(seen: Seen) -> None:
    """Fail with a page that shows the request, as some debug pages do."""
    head = "\n".join(f"{name}: {value}" for name, value in seen.headers.items())
    await reply(seen, 500, head.encode() + b"\n\n" + seen.body)


async def repeats_in_its_words(seen: Seen) -> None:
    """Fail with an error in Auth's format that quotes the request."""
    body = b'{"code":"unexpected_failure","message":' + quoted(seen.body) + b"}"
    await reply(seen, 500, body, **{"content-type": "application/json"})


async def answers_nonsense(seen: Seen) -> None:
    """Return a body that is not a session and contains the request."""
    await reply(seen, 200, seen.body, **{"content-type": "application/json"})


def quoted(body: bytes) -> bytes:
    """Return the body as a JSON string."""
    return b'"' + body.replace(b'"', b"'") + b'"'


WAYS: Final[dict[str, Behaviour]] = {
    "refused": refuses,
    "silent": silent,
    "dies in the middle": dies,
    "502": fails(502),
    "a page that repeats the request": repeats,
    "an error that repeats the request": repeats_in_its_words,
    "nonsense": answers_nonsense,
}


@contextmanager
def written() -> Iterator[io.StringIO]:
    """All that loggers write during the block, at every level, in the format of the process."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(message)s %(levelname)s %(name)s"))
    root.addHandler(handler)
    try:
        yield stream
    finally:
        root.removeHandler(handler)


async def assert_no_secret_is_logged(
    settings: Settings,
    front: Front,
    features: Mapping[str, Feature] | None,
    *,
    reader: Person,
    read: str | None = None,
    bodies: Mapping[str, Mapping[str, str]],
    secrets: tuple[str, ...],
) -> None:
    """Post the bodies to their paths, and read, until breakers are open; check every log line."""
    app = create_app(front.settings(settings, log_level="DEBUG"), features)
    async with running(app) as client_for, client_for(reader.token) as client:
        with written() as logged:
            for _ in range(2):
                calls = [client.get(read) for _ in range(FAILURES) if read]
                for path, body in bodies.items():
                    calls += [client.post(path, json=body) for _ in range(FAILURES)]
                await asyncio.gather(*calls)
    lines = logged.getvalue()
    keys = settings.supabase_key, settings.supabase_service_key
    assert "An unexpected error" in lines or "Supabase does not answer" in lines
    for secret in (*secrets, reader.token, *(key.get_secret_value() for key in keys)):
        assert secret not in lines
