"""Which files of a checkout are ours, and which are yours: docs/UPGRADING.md."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MANIFEST: Final = "platform/release.txt"
_HEAD: Final = "# Our files, as the release had them: ./app upgrade compares yours with these.\n"
# Where yours begin. All else that a release has is ours.
YOURS: Final = (
    "features/",
    "platform/adapters/",
    "tests/features/",
    "tests/adapters/",
    "supabase/seed.sql",
    "README.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "LICENSE",
    "docs/SLICES.md",
    "docs/openapi.json",
    MANIFEST,
)
_MIGRATIONS: Final = "supabase/migrations/"
_PLACES: Final = (
    "app", "platform", "devstack", "bench", "tests", "docs", "deploy", "supabase",
    ".ci", ".devcontainer", ".github", ".vscode",
    ".dockerignore", ".editorconfig", ".env.example", ".gitattributes", ".gitignore",
    ".pre-commit-config.yaml", ".python-version", ".yamllint",
    "pyproject.toml", "requirements.lock", "requirements-dev.lock",
    "Dockerfile", "compose.yaml", "AGENTS.md", "CONTRIBUTING.md", "SECURITY.md",
)  # fmt: skip
_LEFT_OUT: Final = re.compile(
    r"(^|/)(__pycache__|\.[^/]*_cache|dist|\.temp|\.branches)/|\.pyc$|"
    r"^deploy/proxy/certificate\.pem$|^deploy/kubernetes/secrets\.env$"
)


def is_ours(path: str) -> bool:
    """Return whether a file that a release has is ours."""
    return not path.startswith(YOURS) and _LEFT_OUT.search(path) is None


def is_addition_only(path: str) -> bool:
    """Return whether a file may be added but never changed: a migration."""
    return path.startswith(_MIGRATIONS)


def our_files(root: Path) -> set[str]:
    """Return the paths of our files in a checkout of ours; in yours, more may be there."""
    return {path for path in _files(root) if is_ours(path)}


def manifest(root: Path) -> dict[str, str]:
    """Return the paths and git's ids of our files at the release that a checkout began with."""
    file = root / MANIFEST
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    rows = (line.split(" ", 1) for line in lines if not line.startswith("#"))
    return {path: known for known, path in rows if is_ours(path)}


def record(root: Path) -> int:
    """Write the list of our files; return their number."""
    paths = sorted(our_files(root))
    lines = (f"{blob_id((root / path).read_bytes())} {path}\n" for path in paths)
    (root / MANIFEST).write_text(_HEAD + "".join(lines), encoding="utf-8")
    return len(paths)


def blob_id(content: bytes) -> str:
    """Return the id that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _files(root: Path) -> Iterator[str]:
    for place in _PLACES:
        path = root / place
        files = [path] if path.is_file() else path.rglob("*")
        yield from (file.relative_to(root).as_posix() for file in files if file.is_file())
