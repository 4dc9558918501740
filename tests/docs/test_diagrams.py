"""The Mermaid diagrams of the documents can be parsed, by Mermaid itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = Path(__file__).with_name("mermaid")
SITE = ROOT / "docs" / "site"  # the Mermaid that the documentation site draws with
DIAGRAM = re.compile(r"^```mermaid$", re.MULTILINE)
PAGES = [
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if DIAGRAM.search(path.read_text(encoding="utf-8"))
]
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT")


def test_request_cache_and_outbox_have_diagrams():
    assert ROOT / "docs" / "ARCHITECTURE.md" in PAGES
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(DIAGRAM.findall(text)) >= 4


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.nightly
def test_the_diagrams_can_be_parsed(tmp_path):
    if shutil.which("npm") is None or not run("node", "--version", cwd=tmp_path).stdout >= "v20":
        pytest.skip("Node.js 20 or newer is not installed")
    for path in (TOOL / "check.mjs", SITE / "package.json", SITE / "package-lock.json"):
        shutil.copy2(path, tmp_path)
    done = run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=tmp_path)
    if any(word in done.stderr for word in UNREACHABLE):
        pytest.skip("npm's registry cannot be reached")
    assert done.returncode == 0, done.stderr
    done = run("node", "check.mjs", *map(str, PAGES), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    number = sum(len(DIAGRAM.findall(path.read_text(encoding="utf-8"))) for path in PAGES)
    assert len(done.stdout.splitlines()) == number
    wrong = tmp_path / "wrong.md"
    wrong.write_text("```mermaid\nflowchart LR\n  a --> --> b\n```\n")
    assert "Parse error" in run("node", "check.mjs", str(wrong), cwd=tmp_path).stderr
