import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from devstack import postgres, valkey
from devstack.errors import StackError
from devstack.folder import StackFolder
from devstack.ports import DEFAULT_API_PORT, Ports, free_port
from devstack.settings import read_settings, refuse_production
from devstack.testing import Servers

STARTER = """
from devstack.testing import Servers
servers = Servers().start()
print(servers._folder, *(process.pid for _, process in servers._running), flush=True)
input()
"""


def test_servers_start_answer_and_leave_nothing(lives):
    with Servers() as servers:
        pids = [process.pid for _, process in servers._running]
        folder = servers._folder
        assert servers.postgres_url.startswith("postgresql://postgres:postgres@127.0.0.1:")
        assert servers.cache_url.startswith("redis://127.0.0.1:")
        assert servers.broker_url.startswith("redis://127.0.0.1:")
        assert len(pids) == 3
    assert not any(map(lives, pids))
    assert not folder.exists()


async def test_a_server_that_crashes_is_back_with_its_data(lives):
    with Servers(durable=True) as servers:
        before = {program.name: process.pid for program, process in servers._running}
        connection = await asyncpg.connect(servers.postgres_url)
        await connection.execute("create table kept as select 7 as number")
        connection.terminate()
        with Redis.from_url(servers.broker_url) as broker:
            broker.set("kept", "7")
        for name in ("postgres", "broker"):
            await asyncio.to_thread(servers.crash, name)
        connection = await asyncpg.connect(servers.postgres_url)
        assert await connection.fetchval("select number from kept") == 7
        await connection.close()
        with Redis.from_url(servers.broker_url) as broker:
            assert broker.get("kept") == b"7"
        after = {program.name: process.pid for program, process in servers._running}
    assert {name for name in before if before[name] != after[name]} == {"postgres", "broker"}
    assert not any(map(lives, after.values()))


def test_killed_process_leaves_neither_servers_nor_folder(lives, until):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout
        folder, *pids = process.stdout.readline().split()
        assert len(pids) == 3
        process.kill()
    until(lambda: not any(lives(int(pid)) for pid in pids))
    until(lambda: not Path(folder).exists())


def test_missing_postgres_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(postgres, "find_spec", lambda _: None)
    with pytest.raises(StackError, match=r"DEVSTACK_DATABASE_URL=postgresql://"):
        postgres.locate(tmp_path / "postgres")


def test_missing_valkey_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(valkey, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(StackError, match=r"DEVSTACK_CACHE_URL=redis://"):
        valkey.cache(1, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user's place")
def test_data_that_the_other_user_cannot_reach_go_to_a_private_place(tmp_path):
    tmp_path.chmod(0o700)
    mode = tmp_path.stat().st_mode
    found = postgres.locate(tmp_path / "postgres")
    try:
        assert found.account is not None
        assert found.data == postgres.locate(tmp_path / "postgres").data
        assert found.data.parent.stat().st_uid == found.account.uid
        assert found.data.parent.stat().st_mode & 0o077 == 0
        assert str(found.data) in str(found.note)
        assert tmp_path.stat().st_mode == mode
        found.data.parent.chmod(0o755)
        with pytest.raises(StackError, match="not a private folder"):
            postgres.locate(tmp_path / "postgres")
    finally:
        shutil.rmtree(found.data.parent)


def test_default_port_has_the_supabase_clis_ports(tmp_path):
    ports = Ports.choose(DEFAULT_API_PORT, tmp_path / "ports.json")
    assert (ports.gateway, ports.postgres, ports.inbox, ports.smtp) == (54321, 54322, 54324, 54325)


def test_other_ports_are_remembered_while_they_are_free(tmp_path):
    memory = tmp_path / "ports.json"
    first = Ports.choose(free_port(), memory)
    assert Ports.choose(first.api, memory) == first
    with socket.create_server(("127.0.0.1", first.gateway)):
        second = Ports.choose(first.api, memory)
    assert second.gateway != first.gateway
    assert second.postgres == first.postgres
    memory.write_text("nonsense")
    assert len(set(vars(Ports.choose(first.api, memory)).values())) == 7


def test_taken_port_is_named_with_who_wants_it_and_what_to_do(tmp_path):
    ports = Ports.choose(free_port(), tmp_path / "ports.json")
    with socket.create_server(("127.0.0.1", ports.postgres)), pytest.raises(StackError) as raised:
        ports.require_free({"api", "postgres"})
    message = str(raised.value)
    assert message.startswith(f"Port {ports.postgres} is taken, and the local database")
    assert "./app up --port " in message
    ports.require_free({"api", "gateway"})


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_production_is_refused(monkeypatch, tmp_path, place):
    monkeypatch.delenv("APP_ENV", raising=False)
    refuse_production(read_settings(tmp_path))
    if place == "environment":
        monkeypatch.setenv("APP_ENV", "production")
    else:
        (tmp_path / ".env").write_text('APP_ENV="production"\n')
    with pytest.raises(StackError, match="APP_ENV is production"):
        refuse_production(read_settings(tmp_path))


def test_one_stack_a_checkout(tmp_path):
    folder, other = StackFolder(tmp_path), StackFolder(tmp_path)
    folder.make()
    with folder.locked(), pytest.raises(StackError, match=rf"already running \(pid {os.getpid()}"):
        other.locked().__enter__()
    with other.locked():
        pass


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / ".stack").mkdir()
    (tmp_path / ".stack" / "thesis.txt").write_text("years of work")
    with pytest.raises(StackError, match=r"was not made by \./app up"):
        StackFolder(tmp_path).make()


def test_emptying_follows_no_link_out_of_the_folder(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = StackFolder(tmp_path)
    folder.make()
    (folder.path / "link").symlink_to(outside)
    (folder.path / "postgres").mkdir()
    folder.empty()
    assert (outside / "kept").exists()
    assert {path.name for path in folder.path.iterdir()} == {"OWNED_BY_APP_UP"}


def test_values_are_those_of_the_running_stack_and_for_this_user_alone(tmp_path):
    folder = StackFolder(tmp_path)
    with pytest.raises(StackError, match=r"start it with \./app up"):
        folder.read_values()
    folder.make()
    with folder.locked():
        with pytest.raises(StackError, match="starting or stopping"):
            folder.read_values()
        folder.write_values({"A": "1"})
        assert StackFolder(tmp_path).read_values() == {"A": "1"}
        assert (folder.path / "state.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StackError, match=r"start it with \./app up"):
        folder.read_values()
