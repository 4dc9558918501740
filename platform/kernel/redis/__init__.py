"""Redis or Valkey: the cache and the broker, and the hot path's pipeline to the cache."""

from kernel.redis.clients import (
    connect_alarm,
    connect_broker,
    connect_keeping,
    connect_pipeline,
    connect_redis,
    connect_waiting,
    report_eviction,
)
from kernel.redis.leases import give_lease_back, take_lease
from kernel.redis.pipeline import Command, Pipeline, RedisAway
from kernel.redis.wake_ups import Alarm, WakeUps

__all__ = [
    "Alarm",
    "Command",
    "Pipeline",
    "RedisAway",
    "WakeUps",
    "connect_alarm",
    "connect_broker",
    "connect_keeping",
    "connect_pipeline",
    "connect_redis",
    "connect_waiting",
    "give_lease_back",
    "report_eviction",
    "take_lease",
]
