"""Each guarantee in docs/TASKS.md names tests, and these exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = "| guaranteed | limit | test |"
DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+)`")


def rows():
    text = (ROOT / "docs" / "TASKS.md").read_text(encoding="utf-8")
    lines = text.partition(f"{HEADING}\n")[2].splitlines()[1:]
    end = lines.index("")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def test_each_guarantee_of_jobs_names_a_test_that_exists():
    files = (ROOT / "tests").rglob("test_*.py")
    defined = {name for file in files for name in DEFINED.findall(file.read_text(encoding="utf-8"))}
    found = rows()
    assert len(found) >= 15
    for guarantee, _, tests in found:
        names = NAMED.findall(tests)
        assert names, guarantee
        assert set(names) <= defined, guarantee
