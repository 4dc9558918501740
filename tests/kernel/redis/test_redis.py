import pytest

from kernel.redis import report_eviction
from kit.waiting import until


@pytest.fixture
def settings_of(settings, system):
    return settings.model_copy(
        update={
            "redis_port": system.cache.port,
            "redis_db": 0,
            "broker_host": "127.0.0.1",
            "broker_port": system.broker.port,
        }
    )


def reports(caplog):
    return [line for line in caplog.records if line.name.startswith("kernel.redis")]


async def reported(settings, caplog):
    """Return the last report; retry, because a busy machine may delay a server's reply."""

    async def once():
        await report_eviction(settings)
        return reports(caplog)

    return (await until(once))[-1:]


async def test_servers_that_evict_nothing_they_must_keep_are_not_mentioned(settings_of, caplog):
    await report_eviction(settings_of)
    assert not reports(caplog)


async def test_a_broker_that_evicts_is_reported_at_the_start(settings_of, system, caplog):
    system.broker.client.config_set("maxmemory-policy", "allkeys-lru")
    assert [(line.server, line.policy) for line in await reported(settings_of, caplog)] == [
        ("BROKER_HOST", "allkeys-lru")
    ]


async def test_a_cache_that_evicts_keys_without_a_ttl_is_reported_at_the_start(
    settings_of, system, caplog
):
    system.cache.client.config_set("maxmemory-policy", "allkeys-lfu")
    assert [(line.server, line.better) for line in await reported(settings_of, caplog)] == [
        ("REDIS_HOST", "volatile-lru")
    ]


async def test_a_server_that_does_not_answer_does_not_stop_the_start(settings_of, system):
    system.cache.kill()
    await report_eviction(settings_of)
