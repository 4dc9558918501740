"""docs/TASKS.md: its examples are slices that work."""

import ast

import pytest

from kit.copies import ROOT
from kit.pages import blocks_of

BLOCKS = blocks_of(ROOT / "docs" / "TASKS.md")
SLICES = ("thank_author", "notify_comment_written", "report_posts")
FRAGMENT = "features/count_words/"  # shows one file of a slice
THERE = {path.name for path in (ROOT / "features").iterdir()}
FILES = [block for block in BLOCKS if block.path and not block.path.startswith(FRAGMENT)]


def test_the_files_of_the_examples_are_found():
    paths = [block.path for block in FILES]
    for name in SLICES:
        assert f"features/{name}/__init__.py" in paths
        assert f"features/{name}/tasks.py" in paths
        assert f"tests/features/{name}/test_{name}.py" in paths
    assert not [block for block in BLOCKS if block.kind == "python" and not block.path]


def test_the_code_of_the_page_can_be_read():
    for block in BLOCKS:
        if block.kind == "python":
            compile(block.text, block.path, "exec", flags=ast.PyCF_ONLY_AST)


@pytest.mark.nightly
@pytest.mark.skipif("list_posts" not in THERE, reason="an example asks for its function")
@pytest.mark.skipif(bool(THERE.intersection(SLICES)), reason="the examples were carried out here")
def test_the_examples_are_slices_that_work(carried_out):
    carried_out.write(FILES)
    for command in (("features", "--write"), ("test", *SLICES, "-q")):
        code, said = carried_out.run("./app", *command)
        assert code == 0, said
