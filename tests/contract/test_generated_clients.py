"""Others can use the document: a linter, and clients that are generated from it.

The tools are locked in tests/contract/clients, and installed into folders of this run.
"""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cli.document import document, written
from contract import shipped
from kernel.boot.discovery import discover
from kit.process import APPLICATION, api, environment, until

pytestmark = pytest.mark.slow
CLIENTS = Path(__file__).with_name("clients")
_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT")
USED = {"signup", "login", "create_post", "get_post", "list_posts"}
whole = pytest.mark.skipif(
    bool((shipped.SLICES & USED) - discover().keys()), reason="a slice that the clients use is gone"
)


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clients")
    shutil.copytree(CLIENTS, folder, dirs_exist_ok=True)
    (folder / "openapi.json").write_text(written(document()))
    return folder


@pytest.fixture(scope="module")
def node(folder):
    if shutil.which("npm") is None or not run("node", "--version", cwd=folder) >= "v20":
        pytest.skip("Node.js 20 or newer is not installed")
    try:
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    except AssertionError as error:
        if any(word in str(error) for word in _UNREACHABLE):
            pytest.skip("npm's registry cannot be reached")
        raise
    return folder / "node_modules" / ".bin"


@pytest.fixture
async def url(stack, unused_tcp_port):
    env = environment(stack, APPLICATION, LOG_LEVEL="ERROR")
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with api(env, unused_tcp_port, APPLICATION), httpx.AsyncClient() as client:
        await until(client, f"{url}/", 200)
        yield url


def test_the_linter_has_no_finding(folder, node):
    output = run(node / "redocly", "lint", "openapi.json", "--format=stylish", cwd=folder)
    assert "valid" in output
    assert "warning" not in output.lower().replace("deprecation warning", ""), output


@whole
async def test_a_generated_typescript_client_signs_up_logs_in_writes_and_reads(folder, node, url):
    run(node / "openapi-typescript", "openapi.json", "-o", "generated.d.ts", cwd=folder)
    run(node / "tsc", "-p", ".", cwd=folder)
    output = await asyncio.to_thread(run, "node", "built/use_client.js", url, cwd=folder)
    assert output.strip() == "done"


@whole
async def test_a_generated_python_client_signs_up_logs_in_writes_and_reads(folder, url):
    python = environment_of(folder)
    options = {"path": "openapi.json", "config": "python.yaml", "output-path": "python/generated"}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    tool = [python, "-m", "openapi_python_client", "generate", "--meta", "none"]
    run(*tool, "--fail-on-warning", *flags, cwd=folder)
    used = (python, "use_python_client.txt", "python", url)
    output = await asyncio.to_thread(run, *used, cwd=folder)
    assert output.strip() == "done"


def environment_of(folder):
    """Install the locked tools beside the application's own environment."""
    place = folder / "venv"
    python = place / "bin" / "python"
    lock = ("-r", "requirements.lock", "--require-hashes", "--only-binary", ":all:")
    if uv := shutil.which("uv"):
        run(uv, "venv", "-q", "--python", sys.executable, place, cwd=folder)
        run(uv, "pip", "install", "-q", "--python", python, *lock, cwd=folder)
    else:
        run(sys.executable, "-m", "venv", place, cwd=folder)
        run(python, "-m", "pip", "install", "-q", *lock, cwd=folder)
    return python
