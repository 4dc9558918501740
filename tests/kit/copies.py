"""A copy of the checkout, for tests that start the command line there."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_NEEDED: Final = ("app", "devstack", "features", "platform", "supabase", "pyproject.toml")


def copy_of_checkout(*more: str) -> Path:
    """Return a new folder with what the whole system needs, and these files or folders."""
    # Not tmp_path: under root, PostgreSQL runs as another user, who cannot enter it.
    root = Path(tempfile.mkdtemp(prefix="checkout-")).resolve()
    root.chmod(0o755)
    for name in (*_NEEDED, *more):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, root / name)
    return root
