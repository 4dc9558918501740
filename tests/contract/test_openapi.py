"""H8: whatever is sent, the answer is as the OpenAPI document says, and never a 500."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from kit.process import APPLICATION, api, environment, until

pytestmark = pytest.mark.slow
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "author"])
async def test_h8_nothing_that_is_sent_breaks_the_contract(
    stack, author, unused_tcp_port, signed_in, tmp_path
):
    url = f"http://127.0.0.1:{unused_tcp_port}"
    command = [str(SCHEMATHESIS), "run", f"{url}/openapi.json", "--max-examples", "30"]
    # JSON Schema cannot say "72 bytes" or "not only blanks", so valid data may be refused.
    command += ["--exclude-checks", "positive_data_acceptance"]
    command += ["--seed", "1", "--no-color", "--suppress-health-check", "all"]
    if signed_in:
        command += ["-H", f"Authorization: Bearer {author.token}"]
    env = environment(stack, APPLICATION, LOG_LEVEL="ERROR")
    async with api(env, unused_tcp_port, APPLICATION) as process, httpx.AsyncClient() as client:
        await until(client, f"{url}/", 200)
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.read())  # or its pipe fills up
        run = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(run.communicate(), 240)
        process.terminate()
        log = await reading
    assert run.returncode == 0, output.decode()[-8000:]
    assert b"Traceback" not in log, log.decode()[-8000:]
