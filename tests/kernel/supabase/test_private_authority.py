"""O23: servers with certificates of a private authority, which SSL_CERT_FILE names."""

import asyncio
import os
import sys
from urllib.parse import urlsplit

import pytest

from kit.passage import passage
from kit.process import ROOT, environment

pytestmark = pytest.mark.slow

# What each client of a process says when it calls a server with TLS.
CODE = """
import asyncio
from kernel.boot.project_check import project_findings
from kernel.config.settings import load_settings
from kernel.jobs.broker import celery_app
from kernel.redis import connect_pipeline, connect_redis

settings = load_settings()

async def supabase():
    found = await project_findings(settings)
    assert not any(one.level == "error" for one in found), found

async def redis():
    client = connect_redis(settings, timeout=10)
    try:
        assert await client.ping()
    finally:
        await client.aclose()

async def broker():
    app = celery_app(settings)
    app.conf.broker_connection_timeout = 10
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=0, timeout=10)

for call in (supabase, redis, broker):
    try:
        asyncio.run(call())
        print(call.__name__, "trusts")
    except Exception as error:
        print(call.__name__, type(error).__name__)
"""


@pytest.fixture
async def run(stack, certificate):
    """Runs the code with the authority as SSL_CERT_FILE, or without it; returns its lines."""
    context, authority = certificate()
    async with (
        passage(urlsplit(stack.supabase_url).port, tls=context) as supabase,
        passage(urlsplit(stack.cache_url).port, tls=context) as redis,
    ):
        tls: dict[str, str] = {"REDIS_TLS": "true", "REDIS_PORT": str(redis), "BROKER_TLS": "true"}
        tls |= {"BROKER_PORT": str(redis), "SUPABASE_URL": f"https://127.0.0.1:{supabase}"}

        async def run(*, trusted: bool) -> list[str]:
            env = {**environment(stack), **tls, "APP_ENV": "test"}
            env |= {"SSL_CERT_FILE": str(authority) if trusted else os.devnull}
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CODE), cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE
            )
            printed, _ = await asyncio.wait_for(process.communicate(), 60)
            return [line for line in printed.decode().splitlines() if line[:1] in "srb"]

        yield run


async def test_o23_all_clients_trust_the_authority_that_ssl_cert_file_names(run):
    assert await run(trusted=True) == ["supabase trusts", "redis trusts", "broker trusts"]
    refused = await run(trusted=False)
    assert [line.split()[0] for line in refused] == ["supabase", "redis", "broker"]
    assert not any("trusts" in line for line in refused)
