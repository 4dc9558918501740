import sys
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes folders into a package of features: `package(name, {"route.py": …})`."""
    root = tmp_path / f"features_{tmp_path.name}".replace("-", "_")
    root.mkdir()
    (root / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def write(folder: str, files: dict[str, str]) -> str:
        (root / folder).mkdir(exist_ok=True)
        for name, text in files.items():
            (root / folder / name).write_text(dedent(text))
        return root.name

    yield write
    for name in [name for name in sys.modules if name.startswith(root.name)]:
        del sys.modules[name]
