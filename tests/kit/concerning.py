"""`--concerning=SLICE`: of the rules for all slices, only the cases about that slice.

`./app test SLICE` uses it. The slice's own tests are all run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from kernel.edge.routes import Route

ROOT: Final = Path(__file__).parents[2]
_RULES: Final = ("architecture", "contract")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; it may be given several times."""
    parser.addoption("--concerning", action="append", default=[], metavar="SLICE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases of the rules that are about other slices."""
    wanted: set[str] = set(config.getoption("--concerning") or [])
    if not wanted:
        return
    slices = {folder.name for folder in (ROOT / "features").iterdir() if folder.is_dir()}
    left_out = [item for item in items if _is_rule(item) and not _concerns(item, wanted, slices)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _is_rule(item: pytest.Item) -> bool:
    return item.path.is_relative_to(ROOT / "tests") and (
        item.path.relative_to(ROOT / "tests").parts[0] in _RULES
    )


def _concerns(item: pytest.Item, wanted: set[str], slices: set[str]) -> bool:
    params: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    about = {name for value in params.values() if (name := slice_of(value, slices)) is not None}
    return not about or bool(about & wanted)


def slice_of(value: object, slices: set[str]) -> str | None:
    """Return the slice that a parameter of a test is about; "" is code outside of the slices."""
    if isinstance(value, Route):
        return value.feature_name
    if isinstance(value, Path):
        place = value.relative_to(ROOT).parts if value.is_relative_to(ROOT) else ()
        return place[1] if len(place) > 1 and place[0] == "features" else ""
    return value if isinstance(value, str) and value in slices else None
