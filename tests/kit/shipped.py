"""What slices have ever stated of the database: tests/contract/shipped.json, a generated file.

Migrations outlive slices. The database keeps the privileges and topics of a removed slice, which no
slice states any more. The file remembers them, so that these may remain, and nothing else. `./app
features --write` adds what is new. What no commit has is forgotten when it is gone, with its
migrations: no other database knows it. If one of your migrations revokes or drops some of these,
delete them in the file.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from kernel.boot.discovery import discover
from kernel.events import known_events
from kit.grants import ROOT, Function, Grants, of_slices, union

_PATH: Final = "tests/contract/shipped.json"
FILE: Final = ROOT / _PATH


def read(text: str | None = None) -> tuple[frozenset[str], Grants, dict[str, set[str]]]:
    """Return the slices, their grants, and the topics by the module of features/shared."""
    found: dict[str, Any] = json.loads(text or FILE.read_text(encoding="utf-8"))
    grants = Grants(
        tables={
            (table, role): set(privileges)
            for table, roles in found["tables"].items()
            for role, privileges in roles.items()
        },
        functions={
            name: Function(frozenset(one["roles"]), one["arguments"])
            for name, one in found["functions"].items()
        },
    )
    topics = {module: set(names) for module, names in found["topics"].items()}
    return frozenset(found["slices"]), grants, topics


def before(root: Path = ROOT) -> str:
    """Return the file that is added to: the committed one, if all migrations are committed, too.

    Then a database has what the last commit states, and nothing of slices that came and went since.
    """
    committed = _git(root, "show", f"HEAD:./{_PATH}")
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "supabase/migrations")
    if committed and changed == "":
        return committed
    return (root / _PATH).read_text(encoding="utf-8")


def _git(root: Path, *words: str) -> str | None:
    """Return what git prints; None without git, a repository, or what is asked for."""
    if (git := shutil.which("git")) is None:
        return None
    done = subprocess.run([git, *words], cwd=root, capture_output=True, check=False)  # no shell
    return done.stdout.decode() if done.returncode == 0 else None


def written() -> str:
    """Return the file with all that the slices state now, and what it had before."""
    slices, grants, topics = read(before())
    stated = union(of_slices().values())
    merged = union([stated, Grants(tables=grants.tables)])
    functions = {**grants.functions, **stated.functions}
    for topic, kind in known_events().items():
        package, _, module = kind.__module__.rpartition(".")
        if package == "features.shared":
            topics.setdefault(module, set()).add(topic)
    tables: dict[str, dict[str, list[str]]] = {}
    for (table, role), privileges in merged.tables.items():
        tables.setdefault(table, {})[role] = sorted(privileges)
    content = {
        "slices": sorted(slices | discover().keys()),
        "tables": tables,
        "functions": {
            name: {"roles": sorted(one.roles), "arguments": one.arguments}
            for name, one in functions.items()
        },
        "topics": {module: sorted(names) for module, names in topics.items()},
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
