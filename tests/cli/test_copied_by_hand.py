"""A slice that is copied by `cp -r`: each message says the next change, until it works."""

import re
import shutil

import pytest

from kernel.boot.discovery import discover
from kit.checkouts import Checkout
from kit.removal import ROOT, checkout

OLD, NEW = "get_post", "get_bookmark"

pytestmark = pytest.mark.skipif(not (ROOT / "features" / OLD).exists(), reason=f"{OLD} was removed")


@pytest.fixture
def copy():
    with checkout() as root:
        for part in ("features", "tests/features"):
            shutil.copytree(root / part / OLD, root / part / NEW)
        yield Checkout(root)


def change(copy, place, old, new):
    """Change the named line of the copied folder: `change(copy, "features/…/route.py:13", …)`."""
    path, _, number = place.partition(":")
    assert path.startswith(f"features/{NEW}/")
    lines = (copy.root / path).read_text().splitlines(keepends=True)
    assert old in lines[int(number) - 1], f"{place} does not have {old}"
    lines[int(number) - 1] = lines[int(number) - 1].replace(old, new)
    (copy.root / path).write_text("".join(lines))


def follow(copy, said):
    """Do what the message of a start says; return what that was."""
    found = re.search(r"(\S+:\d+) and (\S+:\d+) both (answer|cache under) (.*)", said)
    assert found, said
    place = next(one for one in (found[1], found[2]) if NEW in one)
    if found[3] == "answer":
        assert "change the path of one" in found[4]
        change(copy, place, "/posts/", "/bookmarks/")
    else:
        assert "change the key of one" in found[4]
        change(copy, place, "post:", "bookmark:")
    return found[3]


@pytest.mark.slow
def test_the_messages_lead_from_a_copied_folder_to_a_working_slice(copy):
    done = []
    while (started := copy.tried("python", "-m", "cli", "features", "--write")).returncode:
        done.append(follow(copy, started.stderr.strip().splitlines()[-1]))
        assert len(done) < 5
    assert sorted(done) == ["answer", "cache under"]

    said = copy.tried("python", "-m", "cli.slice_lint").stderr
    sentence = f"no test in tests/features/{NEW} calls GET /bookmarks/{{post_id}}: change the paths"
    assert sentence in said
    tests = copy.root / "tests" / "features" / NEW
    for file in tests.glob("*.py"):
        text = file.read_text()
        file.write_text(re.sub(r"(?<!rest/v1)/posts/", "/bookmarks/", text))
    copy.run("python", "-m", "cli.slice_lint")

    layout = ("python", "-m", "pytest", "-q", "tests/architecture/test_layout.py", "-k", NEW)
    said = copy.tried(*layout).stdout
    assert f'say slice = "{NEW}" in TestCachedReads' in said
    lookup = next(file for file in tests.glob("*.py") if f'slice = "{OLD}"' in file.read_text())
    lookup.write_text(lookup.read_text().replace(f'slice = "{OLD}"', f'slice = "{NEW}"'))

    copy.run(*layout)
    copy.tests(str(tests / f"test_{OLD}.py"), str(lookup), "tests/contract/test_contract.py")
    assert NEW not in discover()  # only the copy has it
