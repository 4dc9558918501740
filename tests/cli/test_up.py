"""`./app up`, in a copy of the checkout that shares the environment, as a person runs it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import asyncpg
import pytest

from devstack.testing import free_port, is_free
from kit.copies import ROOT, copy_of_checkout
from kit.servers import SCHEMA, make_database

APPLICATIONS = ("api", "worker", "relay", "beat")
ALL_OF_THEM = "api, worker, relay and beat"
BROKEN = "select 1;\nselect nonsense from nowhere;\n"

pytestmark = pytest.mark.slow


class Checkout:
    """A copy of the checkout, and the stacks that run in it."""

    process: subprocess.Popen[bytes]

    def __init__(self, root):
        self.root = root
        self.groups = set()
        self.log = root / "output.log"
        self.port = free_port()
        names = {"APP_ENV", "SUPABASE_URL", "DATABASE_URL"}
        kept = {name: value for name, value in os.environ.items() if name not in names}
        path = os.pathsep.join([str(root / "platform"), str(root)])
        self.environment = kept | {"PYTHONPATH": path, "NO_PROXY": "*"}

    @property
    def printed(self):
        return self.log.read_text()

    @property
    def ready(self):
        return any(line.startswith("ready http") for line in self.printed.splitlines())

    def prints(self, words):
        """Wait until it has printed these words."""
        until(lambda: words in self.printed)

    def start(self, *options, **environment):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--port", str(self.port), *options],
                cwd=self.root,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def up(self, *options, **environment):
        self.start(*options, **environment)
        until(lambda: self.ready or self.process.poll() is not None)
        assert self.process.poll() is None, self.printed

    def fails(self, *options, **environment):
        """Return the last line of a start that must fail; it must leave no process."""
        before = set(self.processes())
        self.start(*options, **environment)
        assert self.process.wait(60) == 1, self.printed
        assert set(self.processes()) <= before
        assert "Traceback" not in self.printed
        return self.printed.strip().splitlines()[-1]

    def stop(self, number=signal.SIGTERM):
        self.processes()
        self.process.send_signal(number)
        return self.process.wait(60)

    def env(self):
        done = subprocess.run(
            [sys.executable, "-m", "cli", "env"],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def processes(self):
        """Return pid and command of the processes that name this checkout's stack or belong to it.

        Process groups of its children belong to it, if a call of this method has seen them: a
        forked process names neither a folder nor a port.
        """
        done = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,pgid=,stat=,command="],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split(None, 4) for line in done.stdout.splitlines()]
        if hasattr(self, "process"):
            own = str(self.process.pid)
            self.groups |= {group for _, parent, group, *_ in rows if parent == own}
        ports = {str(port) for port in self.ports()}
        return {
            int(pid): command
            for pid, _, group, stat, command in rows
            if stat[0] != "Z"
            and (
                group in self.groups
                or str(self.root) in command
                or ports & set(re.split(r"[\s:]", command))
            )
        }

    def running(self, name):
        """Return the pids of an application, including forked processes."""
        return [pid for pid, command in self.processes().items() if command.endswith(f" {name}")]

    def ports(self):
        memory = self.root / ".stack" / "ports.json"
        return list(json.loads(memory.read_text()).values()) if memory.exists() else []

    def nothing_left(self):
        return not self.processes() and all(is_free(port) for port in self.ports())


def until(condition, seconds=30):
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)
    return value


@pytest.fixture
def checkout():
    root = copy_of_checkout()
    # The kit's slices replace the application's, with the tables that they need.
    slices = ROOT / "tests" / "kit" / "slices"
    words = (ROOT / "features" / "__init__.py").read_text()
    shutil.rmtree(root / "features")
    left_out = shutil.ignore_patterns("__pycache__", "grants.py")
    shutil.copytree(slices, root / "features", ignore=left_out)
    (root / "features" / "__init__.py").write_text(words)
    shutil.copy2(SCHEMA, root / "supabase" / "migrations" / "20991231000000_things.sql")
    checkout = Checkout(root)
    yield checkout
    if checkout.process.poll() is None:
        checkout.stop()
    until(checkout.nothing_left)
    shutil.rmtree(root)


def get(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def post(url, body, **headers):
    data = json.dumps(body).encode()
    headers |= {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def sign_up(checkout, address):
    account = {"email": address, "password": "correct horse 9"}
    post(f"http://127.0.0.1:{checkout.port}/api/v1/join", account)
    return account


def mail_to(checkout, address):
    """Wait for the only mail to an address in the inbox's API; return its text."""
    return message_to(checkout, address)["Text"]


def message_to(checkout, address):
    inbox = f"{checkout.env()['INBOX_URL']}/api/v1"
    search = f"{inbox}/search?query=to:{address}"
    (mail,) = until(lambda: get(search)["messages"])
    return get(f"{inbox}/message/{mail['ID']}")


def test_up_answers_keeps_data_and_fresh_forgets_them(checkout):
    checkout.up()
    for name, count in {"relay": 1, "beat": 1, "worker": 6}.items():
        # One for each queue: of async jobs with one process, of others with two.
        until(lambda name=name, count=count: len(checkout.running(name)) == count)
    assert f"\nready http://127.0.0.1:{checkout.port}\n" in checkout.printed
    assert re.search(
        r"^applied \d+ migrations: 2026\d+_\w+\.sql, …, ", checkout.printed, re.MULTILINE
    )
    assert "kept in .stack for the next start; ./app up --fresh empties it" in checkout.printed
    api = f"http://127.0.0.1:{checkout.port}/api/v1"
    assert get(f"{api}/alive/ready")["data"] == "ready"
    values = checkout.env()
    assert values["API_URL"] == f"http://127.0.0.1:{checkout.port}"
    assert get(f"{values['INBOX_URL']}/api/v1/messages")["total"] == 0
    account = sign_up(checkout, "ann@example.com")
    assert mail_to(checkout, "ann@example.com").startswith("Hello,\n\nwelcome!")
    assert checkout.stop(signal.SIGINT) == 0
    assert checkout.nothing_left()

    checkout.up()
    assert "\nThe database is up to date: no migration to apply\n" in checkout.printed
    assert checkout.env() == values
    assert post(f"{api}/enter", account)["success"]
    checkout.stop()

    checkout.up("--fresh")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        post(f"{api}/enter", account)


def test_a_renamed_application_starts_under_its_name(checkout):
    command = [sys.executable, "-m", "cli", "rename", "Acme API"]
    subprocess.run(command, cwd=checkout.root, env=checkout.environment, check=True)
    checkout.up()
    base = f"http://127.0.0.1:{checkout.port}"
    assert get(f"{base}/")["data"]["name"] == "Acme API"
    assert get(f"{base}/openapi.json")["info"]["title"] == "Acme API"
    values = checkout.env()
    rows = get(f"{values['SUPABASE_URL']}/rest/v1/settings", apikey=values["SUPABASE_KEY"])
    assert rows[0]["site_name"] == "Acme API"
    sign_up(checkout, "ann@example.com")
    sender = message_to(checkout, "ann@example.com")["From"]
    assert (sender["Name"], sender["Address"]) == ("Acme API", "no-reply@localhost")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_no_process_and_no_port(checkout, number):
    checkout.up()
    until(lambda: len(checkout.running("worker")) == 6)  # the forked processes must end, too
    assert checkout.stop(number) == (-9 if number == signal.SIGKILL else 0)
    if number == signal.SIGKILL:
        until(checkout.nothing_left)
    assert checkout.nothing_left()
    checkout.up("--stack-only")  # the next start must work


def test_a_signal_while_starting_leaves_nothing(checkout):
    checkout.start()
    until((checkout.root / ".stack" / "postgres").exists)
    checkout.stop(signal.SIGINT)
    assert checkout.nothing_left()


def test_stack_only_runs_no_application(checkout):
    checkout.up("--stack-only")
    values = checkout.env()
    assert f"\nready {values['SUPABASE_URL']}\n" in checkout.printed
    assert is_free(checkout.port)
    assert not [name for name in APPLICATIONS if checkout.running(name)]


def test_taken_port_is_one_sentence(checkout):
    with socket.create_server(("127.0.0.1", checkout.port)):
        words = checkout.fails()
    assert words.startswith(f"Port {checkout.port} is taken, and the API wants it")


def test_production_is_one_sentence(checkout):
    assert checkout.fails(APP_ENV="production").startswith("APP_ENV is production")


def test_broken_migration_is_one_sentence(checkout):
    (checkout.root / "supabase/migrations/20991231235959_broken.sql").write_text(BROKEN)
    words = checkout.fails()
    assert "20991231235959_broken.sql, line 2" in words
    assert 'relation "nowhere" does not exist' in words


def test_a_new_migration_of_a_running_stack_is_said_and_the_next_start_applies_it(checkout):
    checkout.up("--stack-only")
    path = checkout.root / "supabase/migrations/20991231235959_late.sql"
    path.write_text("create table public.late (id int);\n")
    checkout.prints(
        f"supabase/migrations/{path.name} waits: stop ./app up and start it again to apply it\n"
    )
    assert checkout.printed.count(path.name) == 1
    checkout.stop()
    checkout.up("--stack-only")
    assert f"applied 1 migration: {path.name}" in checkout.printed
    path.write_text("create table public.late (id bigint);\n")
    checkout.prints(f"{path.name} was edited after this database had applied it")


async def test_the_databases_of_tests_print_nothing_beside_those_of_the_stack(checkout):
    checkout.up("--stack-only")
    url = checkout.env()["DATABASE_URL"]
    tests = await make_database(url, "app_gw0", template="template1")
    for database, words in ((tests, "of_tests"), (url, "of_the_stack")):
        connection = await asyncpg.connect(database)
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.execute(f"select from {words}")
        await connection.close()
    checkout.prints('relation "of_the_stack" does not exist')
    assert "of_tests" not in checkout.printed


def test_an_edited_migration_is_named_and_fresh_is_the_remedy(checkout):
    checkout.up("--stack-only")
    checkout.stop()
    *_, path = sorted((checkout.root / "supabase/migrations").iterdir())
    path.write_text(path.read_text() + "-- an afterthought\n")
    assert checkout.fails("--stack-only") == (
        f"{path.name} was edited after this database had applied it: undo the edit, and write a "
        "new migration instead. Or begin with an empty database: ./app up --fresh"
    )
    checkout.up("--stack-only", "--fresh")


def test_a_syntax_error_in_a_slice_is_printed_once_and_ends_everything(checkout):
    (checkout.root / "features/read_thing/__init__.py").write_text("def broken(:\n")
    checkout.start()
    assert checkout.process.wait(60) == 1
    printed = checkout.printed
    assert f"{ALL_OF_THEM} did not start (exit code 1):" in printed
    assert printed.count("SyntaxError: invalid syntax") == 1
    assert 'File "features/read_thing/__init__.py", line 1\n' in printed
    assert len(printed.splitlines()) < 45
    assert checkout.nothing_left()


def test_a_setting_that_is_wrong_for_all_is_printed_once(checkout):
    checkout.start(LOG_FORMAT="yaml")
    assert checkout.process.wait(60) == 1
    assert f"{ALL_OF_THEM} did not start" in checkout.printed
    assert checkout.printed.count("LOG_FORMAT") == 1


def test_log_lines_are_for_people_unless_a_setting_says_otherwise(checkout):
    api = f"http://127.0.0.1:{checkout.port}/api/v1"
    checkout.up()
    get(f"{api}/alive")
    checkout.prints(" INFO     GET /api/v1/alive 200 ")
    assert "\x1b" not in checkout.printed
    checkout.stop()
    checkout.up(LOG_FORMAT="json", FORCE_COLOR="1")
    get(f"{api}/alive")
    checkout.prints('"path":"/api/v1/alive","status":200')
    # The colour depends on which program printed first.
    assert re.search(r"\x1b\[\d+mapi      │\x1b\[0m \{", checkout.printed)


def test_ctrl_c_is_one_line(checkout):
    checkout.up()
    ready = len(checkout.printed.splitlines())
    assert checkout.stop(signal.SIGINT) == 0
    assert checkout.printed.splitlines()[ready:] == ["stopping … (Ctrl-C again kills at once)"]


def test_a_server_that_dies_ends_everything(checkout):
    checkout.up("--stack-only")
    port = checkout.env()["REDIS_PORT"]
    with os.popen(f"pgrep -f 'valkey-server 127.0.0.1:{port}'") as found:
        os.kill(int(found.read().split()[0]), signal.SIGKILL)
    assert checkout.process.wait(60) == 1
    assert "cache ended unexpectedly (SIGKILL)" in checkout.printed
    assert checkout.nothing_left()


def test_a_second_stack_in_one_checkout_is_refused(checkout):
    checkout.up("--stack-only")
    first = checkout.process
    log, checkout.log = checkout.log, checkout.root / "second.log"
    try:
        assert f"is already running (pid {first.pid})" in checkout.fails()
        assert "already running" in checkout.fails("--fresh")
    finally:
        checkout.process, checkout.log = first, log
    assert checkout.env()


def test_a_change_of_the_code_reaches_the_running_api(checkout):
    checkout.up()
    route = checkout.root / "features/alive/__init__.py"
    good = route.read_text()
    route.write_text("raise SystemExit('half written')\n")
    checkout.prints(f"{ALL_OF_THEM} start again when a file changes")
    assert checkout.printed.count("half written") == 1
    assert checkout.env()
    route.write_text(good)
    checkout.prints(f"{ALL_OF_THEM} are ready again")
    api = f"http://127.0.0.1:{checkout.port}/api/v1"
    assert get(f"{api}/alive/ready")["data"] == "ready"


def test_a_change_of_a_job_reaches_the_running_worker(checkout):
    checkout.up()
    tasks = checkout.root / "features/notify_author/tasks.py"
    tasks.write_text(tasks.read_text().replace("user.display_name", "'the new code'"))
    checkout.prints(f"{ALL_OF_THEM} are ready again")
    assert f"restarting {ALL_OF_THEM}: features/notify_author/tasks.py changed" in checkout.printed
    sign_up(checkout, "ann@example.com")
    assert mail_to(checkout, "ann@example.com").startswith("Hello the new code,\n")


def test_o7_a_killed_worker_is_reported_starts_again_and_runs_the_waiting_jobs(checkout):
    checkout.up()
    (first,) = [pid for pid in checkout.running("worker") if os.getpgid(pid) == pid]
    os.kill(first, signal.SIGKILL)
    checkout.prints("worker starts again in 1 s")
    assert "\nworker ended (SIGKILL)" in checkout.printed
    sign_up(checkout, "ann@example.com")
    checkout.prints("worker is ready again")
    assert mail_to(checkout, "ann@example.com")


def test_foreign_supabase_settings_are_named_and_not_used(checkout):
    (checkout.root / ".env").write_text("SUPABASE_URL=https://x.supabase.co\n")
    checkout.up()
    assert "SUPABASE_URL is set, and not used here" in checkout.printed
    api = f"http://127.0.0.1:{checkout.port}/api/v1"
    assert get(f"{api}/alive/supabase")["data"] == "up"
