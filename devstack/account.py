"""The unprivileged user that PostgreSQL runs as when root starts the stack."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.errors import StackError


@dataclass(frozen=True)
class OsAccount:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Return the arguments of subprocess.Popen to run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may(self, test: str, path: Path) -> bool:
        """Return whether this user passes test(1) for a path: -x to enter, -r to read."""
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, no shell
                ["/usr/bin/env", "test", test, str(path)], check=False, cwd="/", **self.options()
            )
        except PermissionError:
            raise StackError(
                f"PostgreSQL does not run as root, and this root may not become {self.name}: "
                "start the stack as an ordinary user."
            ) from None
        return done.returncode == 0

    def own(self, folder: Path) -> None:
        """Make this user the owner of a folder and its content."""
        if folder.stat().st_uid == self.uid:
            return
        for place, _, files in os.walk(folder):
            for path in (place, *(os.path.join(place, file) for file in files)):  # noqa: PTH118 - os.walk's own
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def unprivileged_account() -> OsAccount | None:
    """Return the user to run PostgreSQL as, or None if the current one is suitable.

    Raises StackError on a machine with neither `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsAccount(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root, and this machine has no user postgres or nobody "
        "to run it as: start the stack as an ordinary user."
    )
