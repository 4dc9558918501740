"""docs/TUTORIAL.md, carried out in a copy of the checkout.

A block whose path stands above it is written to that file; a `sh` block is run.
"""

import sys
from pathlib import Path

import pytest

from kit.copies import ROOT
from kit.pages import Block, blocks_of

PAGE = ROOT / "docs" / "TUTORIAL.md"
SLICES = ("create_bookmark", "get_bookmark", "list_bookmarks", "delete_bookmark")
CHECKS = (("ruff", "check", "--no-cache"), ("ruff", "format", "--check", "--no-cache"))

BLOCKS = blocks_of(PAGE)
CARRIED_OUT = [block.path for block in BLOCKS if block.path and (ROOT / block.path).exists()]
COMMANDS = [line for block in BLOCKS if not block.path for line in block.text.splitlines()]


pytestmark = pytest.mark.skipif(
    bool(CARRIED_OUT), reason=f"the tutorial was carried out in this checkout: {CARRIED_OUT[:1]}"
)


def test_every_block_is_a_file_or_commands():
    files = [block for block in BLOCKS if block.path]
    assert len(files) >= 20
    assert {block.kind for block in BLOCKS if not block.path} == {"sh"}
    tests = [line for line in COMMANDS if line.startswith("./app test ")]
    assert tests == [f"./app test {name}" for name in SLICES]
    assert PAGE.read_text(encoding="utf-8").count("\n```") == 2 * len(BLOCKS)


@pytest.mark.slow
def test_the_files_of_the_tutorial_are_four_slices_that_work(carried_out):
    carried_out.write(BLOCKS)
    commands = (("features", "--write"), ("test", *SLICES, "-q"), ("openapi", "--write"))
    for command in commands:
        code, said = carried_out.run("./app", *command)
        assert code == 0, said
    assert "/bookmarks/{bookmark_id}" in (carried_out.root / "docs" / "SLICES.md").read_text()
    written = [block.path for block in BLOCKS if block.path.endswith(".py")]
    for program, *words in CHECKS:
        code, said = carried_out.run(str(Path(sys.executable).parent / program), *words, *written)
        assert code == 0, said


@pytest.mark.slow
def test_a_tutorial_that_is_wrong_is_noticed(carried_out):
    wrong = [
        Block(block.path, block.kind, block.text.replace("BOOKMARK_NOT_FOUND", "NOT_HERE"))
        for block in BLOCKS
        if "test_get_bookmark.py" not in block.path
    ]
    carried_out.write(
        [*wrong, *(block for block in BLOCKS if "test_get_bookmark.py" in block.path)]
    )
    code, said = carried_out.run("./app", "test", "get_bookmark", "-q", "-k", "may_call")
    assert code == 1
    assert "test_only_the_owner_may_call" in said


@pytest.mark.nightly
def test_the_tutorial_goes_as_it_is_written(carried_out):
    for block in BLOCKS:
        carried_out.write([block])
        for line in block.text.splitlines() if not block.path else ():
            code, said = carried_out.run("sh", "-c", line)
            assert code == 0, f"{line}\n{said}"
