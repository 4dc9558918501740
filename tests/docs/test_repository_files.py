"""Files for editors, Git hosts and readers: what a test can check of them."""

import json
import re
from pathlib import Path

import pytest
import typer.main
import yaml

import cli

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.*")]
YAML = [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]
JSON = [*(ROOT / ".vscode").glob("*.json"), *(ROOT / ".devcontainer").glob("*.json")]
PINNED = re.compile(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
LINK = re.compile(r"\[[^\]]*\]\(([^):\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?<![\w/])\./app((?: +(?:--)?[a-z][a-z-]*)+)")


def name(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    """Return the names that GitHub gives to the headings of a page."""
    headings = HEADING.findall(FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path):
    """Return the links of a page to files or headings that do not exist."""
    found = []
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if link.startswith("../../actions/"):  # a page on GitHub
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def unpinned(text):
    """Return the actions of a workflow that are not pinned to a commit."""
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", text, re.MULTILINE)
    return [one for one in used if not one.startswith("./") and not PINNED.fullmatch(one)]


def unknown(text, command):
    """Return the commands and options in a text that `./app` does not have."""
    return [f"./app{words}" for words in COMMAND.findall(text) if not known(words, command)]


def known(words, command):
    for word in words.split():
        if word.startswith("--"):
            options = {"--help", *(option for one in command.params for option in one.opts)}
            if word not in options and not command.context_settings.get("ignore_unknown_options"):
                return False
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return False
            command = command.commands[word]
    return True


@pytest.mark.parametrize("path", YAML, ids=name)
def test_yaml_can_be_read(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", JSON, ids=name)
def test_json_can_be_read(path):
    # Editors allow comments; ours are on separate lines.
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_runs_the_actions_that_were_reviewed_and_may_only_read(path):
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert unpinned(text) == []
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert "uses" in job or "timeout-minutes" in job


@pytest.mark.parametrize(
    "used", ["actions/checkout@v7", "actions/checkout@main", f"actions/checkout@{'0' * 40}"]
)
def test_an_action_by_its_tag_is_found(used):
    assert unpinned(f"steps:\n  - uses: {used}\n") == [used]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_documents_name_commands_that_exist(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":  # only code counts: prose may follow a command
        text = "\n".join(map("".join, CODE.findall(text)))
    assert unknown(text, typer.main.get_command(cli.app)) == []


def test_a_command_that_does_not_exist_is_found():
    command = typer.main.get_command(cli.app)
    right = ("./app test get-post --maxfail", "./app user promote ada", "./app up --fresh", "./app")
    wrong = ["./app tets", "./app user crown ada", "./app up --flesh", "./app --fresh"]
    assert unknown("\n".join([*right, *wrong]), command) == wrong


@pytest.mark.parametrize("path", [one for one in DOCUMENTS if one.suffix == ".md"], ids=name)
def test_links_between_documents_lead_somewhere(path):
    assert broken_links(path) == []


def test_links_to_files_and_headings_that_do_not_exist_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# One `two`, three\n\n```sh\n# No heading\n```\n")
    page = tmp_path / "page.md"
    right = ("other.md", "other.md#one-two-three", "#here")
    wrong = ["gone.md", "other.md#no-heading", "other.md#four", "#there"]
    page.write_text("# Here\n\n" + "".join(f"[x]({link})\n" for link in [*right, *wrong]))
    assert broken_links(page) == wrong


def test_the_readme_leads_to_every_page():
    if "docs/TUTORIAL.md" not in (ROOT / "README.md").read_text(encoding="utf-8"):
        pytest.skip("this application has a README of its own")
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        links = LINK.findall(page.read_text(encoding="utf-8"))
        pages = {(page.parent / link.partition("#")[0]).resolve() for link in links}
        found = {one for one in pages if one.suffix == ".md" and one.exists()} - reached
        reached |= found
        waiting += found
    # The README leads to the folder of decisions; the site's files are no pages.
    others = {ROOT / "docs" / "decisions", ROOT / "docs" / "site"}
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path.parent not in others}
    assert pages <= reached
