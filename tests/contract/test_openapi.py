"""H8: every response to any request matches the OpenAPI document, and is never a 500."""

import asyncio
import re
import sys
from pathlib import Path

import httpx
import pytest

from kit.process import APPLICATION, api, environment, until

pytestmark = pytest.mark.slow
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"


CASES = re.compile(rb"([\d,]+) generated")


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "author"])
async def test_h8_nothing_that_is_sent_breaks_the_contract(
    stack, author, unused_tcp_port, signed_in, tmp_path
):
    token = author.token if signed_in else None
    await attack(stack, token, unused_tcp_port, tmp_path, "--max-time", "40")


@pytest.mark.nightly
async def test_h8_thousands_of_requests_do_not_break_the_contract(
    stack, author, unused_tcp_port, tmp_path
):
    options = ("--max-examples", "200")
    assert await attack(stack, author.token, unused_tcp_port, tmp_path, *options) >= 2000


# Its own list of refusals has no 414: wrong data may make a URL too long.
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = [
  "400", "401", "403", "404", "406", "414", "422", "428", "5xx",
]
"""


async def attack(stack, token, port, folder, *options):
    """Run all phases and checks, the stateful ones too; return the number of requests."""
    url = f"http://127.0.0.1:{port}"
    command = [str(SCHEMATHESIS), "run", f"{url}/openapi.json", *options]
    # JSON Schema cannot say "72 bytes" or "not only blanks", so valid data may be refused.
    command += ["--exclude-checks", "positive_data_acceptance"]
    command += ["--seed", "1", "--no-color", "--suppress-health-check", "all"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    (folder / "schemathesis.toml").write_text(CONFIG)
    env = environment(stack, APPLICATION, LOG_LEVEL="ERROR")
    async with api(env, port, APPLICATION) as process, httpx.AsyncClient() as client:
        await until(client, f"{url}/", 200)
        assert process.stdout is not None
        reading = asyncio.create_task(process.stdout.read())  # otherwise its pipe fills up
        run = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(run.communicate(), 3600)
        process.terminate()
        log = await reading
    assert run.returncode == 0, output.decode()[-8000:]
    assert b"Traceback" not in log, log.decode()[-8000:]
    found = CASES.search(output)
    assert found is not None, output.decode()[-2000:]
    return int(found[1].replace(b",", b""))
