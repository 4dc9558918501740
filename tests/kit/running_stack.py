"""The PostgreSQL of a running `./app up`, for the tests of a slice: it saves the start of another.

Tests use databases of their own in it, and never the application's. Their cache and broker are
separate servers.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from devstack import StackError, StackFolder, read_settings

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def postgres_of_running_stack(root: Path = ROOT) -> Iterator[str | None]:
    """Yield the superuser's address of the running stack's own PostgreSQL, or None.

    None unless `./app test SLICE` asks for it, if no stack runs, if a setting names another server,
    and if another run of tests uses it at the moment.
    """
    if not os.environ.get("TEST_ON_RUNNING_STACK"):
        yield None
        return
    settings = read_settings(root)
    try:
        url = StackFolder(root).read_values()["DATABASE_URL"]
    except StackError:
        yield None
        return
    own = not settings.get("DEVSTACK_DATABASE_URL") and urlsplit(url).hostname == "127.0.0.1"
    with (root / ".stack" / "tests.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            own = False
        yield url if own else None
