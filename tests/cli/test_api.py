"""`./app api`, the production process, as a separate process."""

import asyncio
import json
import os
import re
import signal

import httpx
import pytest

from kit.process import api, environment, status, until


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_h6_it_is_not_ready_while_it_drains_and_answers_on(stack, unused_tcp_port, workers):
    env = environment(stack, API_DRAIN_SECONDS="1.5", API_WORKERS=workers, LOG_LEVEL="INFO")
    base = f"http://127.0.0.1:{unused_tcp_port}/api/v1/alive"
    async with api(env, unused_tcp_port) as process, httpx.AsyncClient() as client:
        await until(client, f"{base}/ready", 200)
        process.send_signal(signal.SIGTERM)
        await until(client, f"{base}/ready", 503)
        assert await status(client, f"{base}") == 200
        await until(client, f"{base}", None)
        output, _ = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == (0 if workers == "2" else -signal.SIGTERM), output


async def test_a_limit_of_no_slice_is_one_message_and_exit_code_1(stack, unused_tcp_port):
    async with api(environment(stack, RATE_LIMIT_ENTR="1/minute"), unused_tcp_port) as process:
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert output.decode().startswith("There is no such limit: RATE_LIMIT_ENTR. There are: ")
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, '{"timestamp": "'),
        ({"LOG_FORMAT": "console"}, r"\d\d:\d\d:\d\d\.\d{3} INFO     Started server process"),
    ],
)
async def test_its_lines_are_json_in_a_pipe_unless_a_setting_says_otherwise(
    stack, unused_tcp_port, changes, first
):
    base = f"http://127.0.0.1:{unused_tcp_port}/api/v1/alive"
    async with (
        api(environment(stack, LOG_LEVEL="INFO", **changes), unused_tcp_port) as process,
        httpx.AsyncClient() as client,
    ):
        await until(client, base, 200)
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    lines = output.decode().splitlines()
    assert re.match(first, lines[0])
    assert [line for line in lines if "/api/v1/alive" in line]


@pytest.mark.parametrize("form", ["json", "console"])
async def test_an_exception_at_the_start_is_one_entry_of_the_log(
    stack, unused_tcp_port, tmp_path, form
):
    (tmp_path / "sitecustomize.py").write_text(
        "import kernel.boot.discovery\n"
        "def discover():\n    raise ZeroDivisionError('at the start')\n"
        "kernel.boot.discovery.discover = discover\n"
    )
    env = environment(stack, LOG_FORMAT=form)
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    async with api(env, unused_tcp_port) as process:
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    first, *others = output.decode().splitlines()
    assert "An exception ended the process" in first
    if form == "json":
        assert "ZeroDivisionError: at the start" in json.loads(first)["context"]["exc_info"]
        assert not others
    else:
        assert others[-1].strip() == "ZeroDivisionError: at the start"


async def test_missing_settings_are_one_message_and_exit_code_1(stack, unused_tcp_port):
    env = environment(stack, SUPABASE_URL="x", REDIS_HOST="", SUPABASE_KEY="")
    async with api(env, unused_tcp_port) as process:
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    text = output.decode()
    for name in ("SUPABASE_URL", "SUPABASE_KEY", "REDIS_HOST"):
        assert name in text
    assert "Traceback" not in text
