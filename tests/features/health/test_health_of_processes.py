"""H6: the responses of a process while it drains."""

import asyncio
import signal

import httpx
import pytest

from kit.process import APPLICATION, api, environment, status, until


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_h6_it_is_not_ready_while_it_drains_and_answers_on(stack, unused_tcp_port, workers):
    env = environment(
        stack, APPLICATION, API_DRAIN_SECONDS="1.5", API_WORKERS=workers, LOG_LEVEL="INFO"
    )
    base = f"http://127.0.0.1:{unused_tcp_port}/api/v1/health"
    async with api(env, unused_tcp_port, APPLICATION) as process, httpx.AsyncClient() as client:
        await until(client, f"{base}/readiness", 200)
        process.send_signal(signal.SIGTERM)
        await until(client, f"{base}/readiness", 503)
        assert await status(client, f"{base}/liveness") == 200
        await until(client, f"{base}/liveness", None)
        output, _ = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == (0 if workers == "2" else -signal.SIGTERM), output
