"""The messages of `./app` while it installs, and when it cannot."""

import io
import os
import subprocess

import pytest

from cli import install
from cli.checkout import ROOT
from cli.install import InstallError, Progress, remedy

# Output of pip 22.3 to 26, uv and venv.
FAILURES = {
    "cannot make virtual environments": [
        "The virtual environment was not created successfully because ensurepip is not\navailable.",
        "/usr/bin/python3: No module named venv",
    ],
    "cannot be reached": [
        "WARNING: Retrying … after connection broken by '…'\nERROR: No matching distribution found",
        "error: Request failed after 3 retries\n  Caused by: client error (Connect)",
        "  Caused by: dns error: failed to lookup address information",
        "ReadTimeoutError: Read timed out.",
    ],
    "is not trusted": [
        "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
        "invalid peer certificate: UnknownIssuer",
    ],
    "The disk is full": ["OSError: [Errno 28] No space left on device"],
    "another file than the lock names": [
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
        "error: Hash mismatch for `anyio==4.16.0`",
    ],
    "no package for this machine": [
        "ERROR: No matching distribution found for uvloop==0.23.0",
    ],
    "Put uv on PATH": [".venv/bin/python: No module named pip"],
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_than_on_a_terminal_each_step_is_one_line():
    out = io.StringIO()
    progress = Progress(out)
    for count in ("1 of 2 packages", "2 of 2 packages"):
        progress.show("Downloading", count)
    progress.show("Installing", "0 of 2 packages")
    progress.end("Installed in 3 s.")
    assert out.getvalue() == "Downloading …\nInstalling …\nInstalled in 3 s.\n"


def test_on_a_terminal_one_line_shows_count_and_seconds(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    progress = Progress(out)
    progress.show("Downloading", "1 of 2 packages")
    assert out.getvalue().endswith("Downloading · 1 of 2 packages · 0 s")
    assert "\n" not in out.getvalue()
    progress.end("Installed in 3 s.")
    assert out.getvalue().endswith("\r\033[KInstalled in 3 s.\n")


def test_a_line_never_wraps(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    Progress(out).show("Downloading", "1 of 200 packages")
    assert len(out.getvalue().removeprefix("\r\033[K")) < 20


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (
            ["Ignoring colorama: markers …", "Collecting aiohttp==3.14.5", "Collecting anyio"],
            "Downloading · 2 of 2 packages",
        ),
        (["Collecting aiohttp==3.14.5", "Installing collected packages: aiohttp"], "0 of 3"),
        (["Resolved 2 packages in 1s", "Downloading mypy (14MiB)"], "2 packages, 0 of 1 large"),
        (["Downloading mypy (14MiB)", " Downloaded mypy"], "3 packages, 1 of 1 large"),
        (["Prepared 3 packages in 25.92s"], "Installing · 0 of 3 packages"),
        (["WARNING: Retrying … after connection broken by …"], "does not answer: trying again"),
    ],
)
def test_lines_of_pip_and_uv_become_counts(monkeypatch, tmp_path, printed, shown):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    follow = install._Follower(tmp_path, 3, Progress(out))
    for line in printed:
        follow(line)
    assert shown in out.getvalue().rpartition("\r")[2]


@pytest.mark.parametrize(
    ("printed", "says"), [(each, says) for says, found in FAILURES.items() for each in found]
)
def test_known_failures_are_one_sentence_that_says_what_to_do(printed, says):
    text = remedy(printed)
    assert text
    assert says in text


def test_an_unknown_failure_shows_the_last_lines(monkeypatch):
    monkeypatch.setenv("INSTALL_WITH", "pip")
    printed = "\n".join(f"line {number}" for number in range(100))
    with pytest.raises(InstallError) as raised, install._said_plainly(Progress(io.StringIO())):
        raise install.CommandError(printed)
    assert "line 99\n" in str(raised.value)
    assert "line 50\n" not in str(raised.value)
    assert "run the command again" in str(raised.value)


def test_a_missing_permission_names_the_place():
    refused = PermissionError(13, "Permission denied", "/checkout/.venv")
    with pytest.raises(InstallError) as raised, install._said_plainly(Progress(io.StringIO())):
        raise refused
    assert str(raised.value).startswith("Cannot write /checkout/.venv: Permission denied.")


def test_an_environment_is_removed_but_not_what_its_links_lead_to(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    venv = tmp_path / ".venv"
    (venv / "lib").mkdir(parents=True)
    (venv / "lib64").symlink_to("lib")
    (venv / "link").symlink_to(kept)
    install._empty(venv)
    assert not venv.exists()
    assert (kept / "file").exists()


def test_an_installer_that_is_not_here_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("uv", "poetry"):
        monkeypatch.setenv("INSTALL_WITH", name)
        with pytest.raises(
            InstallError, match=f"INSTALL_WITH={name} is not an available installer"
        ):
            install.chosen_installer()
    monkeypatch.delenv("INSTALL_WITH")
    assert install.chosen_installer() == "pip"


@pytest.mark.parametrize("python", ["#!/bin/sh\nexit 1\n", None])
def test_a_python_that_is_too_old_is_one_sentence(tmp_path, python):
    (tmp_path / "app").write_text((ROOT / "app").read_text("utf-8"), "utf-8")
    path = tmp_path / "old python"
    if python:
        path.write_text(python)
        path.chmod(0o755)
    done = subprocess.run(
        ["sh", tmp_path / "app", "--help"],
        env=os.environ | {"PYTHON": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"Python 3.11 to 3.14 is needed, and PYTHON={path} is no such Python. "
        "Install one, or name it: PYTHON=/path/to/python3 ./app …\n"
    )
