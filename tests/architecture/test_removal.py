"""Adding or removing a slice changes no other file: after a removal, everything else is green."""

import ast
import re
from pathlib import Path

import pytest

from kernel.boot.discovery import discover
from kernel.edge.routes import RouteTable, routes_of
from kernel.web.routing import PREFIX
from kit.removal import ROOT, Removal, checkout, domain, drill, halves, slices, suites

FEATURES = slices()
TABLE = RouteTable(routes_of(discover()))
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def owners(path: str, methods: tuple[str, ...] = METHODS) -> set[str]:
    """Return the slices that serve a path with one of these methods."""
    found = (TABLE.find(method, PREFIX + path) for method in methods)
    return {route.feature_name for route in found if route is not None}


def calls_of(tree: ast.AST) -> set[tuple[str, tuple[str, ...]]]:
    """Return the paths in tests, each with its possible methods."""
    calls: set[tuple[str, tuple[str, ...]]] = set()
    by_method: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            by_method[node.args[0]] = node.func.attr.upper()
    parts = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            text = node.value
        else:
            continue
        if re.fullmatch(r"/[a-z][\w/.{}-]*(\?[\w=&.{}-]+)?", text):
            method = by_method.get(node)
            methods = (method,) if method in METHODS else METHODS
            calls.add((text.partition("?")[0], methods))
    return calls


@pytest.mark.parametrize("name", FEATURES)
def test_the_tests_of_a_slice_neither_import_nor_call_another(name):
    for file in sorted((ROOT / "tests" / "features" / name).glob("*.py")):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            other = re.match(r"features\.(\w+)", module or "")
            assert other is None or other[1] in {name, "shared"}, f"{file} imports {module}"
        for path, methods in calls_of(tree):
            others = owners(path, methods)
            assert not others or name in others, (
                f"{file} calls {path}, which is {', '.join(sorted(others))}'s: arrange and observe "
                "by tests/kit instead."
            )


def test_a_call_of_another_slice_is_found():
    source = 'await client.put(f"/things/{one.id}", json={})\nurl = "/things?page=1"\n'
    assert calls_of(ast.parse(source)) == {("/things/x", ("PUT",)), ("/things", METHODS)}


def test_halves_separate_each_two_slices_once():
    names = [f"slice_{number}" for number in range(len(FEATURES))]
    gone = [removal.slices for removal in halves(names)]
    for one in names:
        for other in names:
            assert one == other or any(one in half and other not in half for half in gone)


@pytest.fixture(scope="module")
def copy():
    with checkout() as root:
        yield root


def is_green(copy: Path, removal: Removal, tests: list[str]) -> bool:
    found = drill(copy, removal, tests)
    assert found.green, found.output[-8000:]
    return True


@pytest.mark.slow
def test_a_test_that_needs_a_removed_slice_is_noticed(copy):
    (copy / "tests" / "architecture" / "test_missing.py").write_text(
        f"from features.{FEATURES[0]} import feature\n\n\ndef test_it():\n    assert feature\n"
    )
    try:
        found = drill(
            copy, Removal(frozenset({FEATURES[0]})), ["tests/architecture/test_missing.py"]
        )
    finally:
        (copy / "tests" / "architecture" / "test_missing.py").unlink()
    assert not found.green
    assert found.collected == 1


@pytest.mark.slow
def test_the_rest_does_not_notice_that_slices_were_removed(copy):
    some = FEATURES[:: max(1, len(FEATURES) // 3)]
    assert is_green(copy, Removal(frozenset(some)), suites())


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / "features" / "shared" / "posts.py").exists(), reason="the posts were removed"
)
def test_the_domain_can_be_removed(copy):
    assert is_green(copy, domain("posts"), suites())


@pytest.mark.nightly
@pytest.mark.parametrize("name", FEATURES)
def test_each_slice_can_be_removed(copy, name):
    assert is_green(copy, Removal(frozenset({name})), suites())


@pytest.mark.nightly
@pytest.mark.parametrize("removal", list(halves(FEATURES)), ids=lambda one: one.name)
def test_everything_else_passes_without_half_of_the_slices(copy, removal):
    assert is_green(copy, removal, [])


@pytest.mark.nightly
@pytest.mark.skipif(
    not (ROOT / "features" / "shared" / "posts.py").exists(), reason="the posts were removed"
)
def test_everything_else_passes_without_the_domain(copy):
    assert is_green(copy, domain("posts"), [])
