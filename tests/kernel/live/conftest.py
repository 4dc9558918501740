"""A hub that reads the stream of a Valkey server of its own."""

from uuid import uuid4

import pytest

from kernel.cache import everyone
from kernel.core.caller import ANONYMOUS
from kernel.live import Hub, LiveClient, LiveStream, Topic, Topics
from kernel.redis import connect_pipeline, connect_waiting
from kit.slices.shared.things import ThingChanged, ThingPublished
from kit.small import changed
from kit.waiting import until

TOPICS = Topics(
    [
        Topic("things", on=ThingChanged, audience=everyone),
        Topic("author:{author_id}", on=ThingPublished, audience=everyone),
    ]
)


class Live:
    """A stream that is written, and hubs that read it."""

    def __init__(self, settings, valkey):
        self.settings, self.valkey = settings, valkey
        self.pipeline = connect_pipeline(settings)
        self.hubs = []

    def stream(self, **options):
        return LiveStream(self.pipeline, TOPICS, **options)

    async def write(self, number=1):
        """Write changes of so many things; return their ids."""
        events = [ThingChanged(thing_id=uuid4()) for _ in range(number)]

        async def written():
            try:
                await self.stream().write(events)
            except Exception:  # noqa: BLE001 - as the relay: it writes again
                return False
            return True

        await until(written)
        return [str(event.thing_id) for event in events]

    async def hub(self, **options):
        hub = Hub(connect_waiting(self.settings), **options)
        self.hubs.append(hub)
        await hub.ready()
        return hub

    async def aclose(self):
        for hub in self.hubs:
            await hub.aclose()
        await self.pipeline.aclose()


@pytest.fixture
async def live(settings, valkey, patient_redis):
    own = changed(settings, redis_host="127.0.0.1", redis_port=valkey.port, redis_db=0)
    one = Live(own, valkey)
    yield one
    await one.aclose()


@pytest.fixture
def client():
    return LiveClient(ANONYMOUS)
