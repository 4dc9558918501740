"""The image of the Dockerfile, built by buildah and run as an engine would, without an engine.

Not every machine can pull the base image. So a stand-in is made of this machine's Python, the
shared libraries that it loads, a shell and a few coreutils: the parts that the Dockerfile uses.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_NEEDED: Final = ("buildah", "unshare", "setpriv", "chroot", "ldd")
_PROGRAMS: Final = ("sh", "chmod", "env", "cat", "id", "touch", "sleep", "ls")
_FILES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf", "/etc/host.conf")
_NO_PART_OF_A_BASE: Final = shutil.ignore_patterns(
    "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "__pycache__", "*.a"
)
# Wheels do not bundle these, because every Linux with glibc has them (PEP 600).
_EXPECTED: Final = r"gcc_s|stdc\+\+|rt|pthread|dl|util|m|resolv|nss_\w+"
# In a separate mount namespace, the root is read-only and /tmp is a small tmpfs, as in compose.yaml
# and on Kubernetes.
_RUN: Final = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1/tmp"
mount --rbind /dev "$1/dev"
mount --rbind /proc "$1/proc"
root=$1 user=$2; shift 2
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
"""


def why_not() -> str | None:
    """Return the reason why no image can be built here, or None."""
    if missing := [name for name in _NEEDED if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found: apt-get install buildah, as .ci/run does"
    if os.geteuid() and subprocess.run(["sudo", "-n", "true"], check=False).returncode:
        return "mounts need root, or sudo without a password"
    return None


def as_root(*command: str) -> list[str]:
    """Return the command in the form that runs as root."""
    return [*([] if os.geteuid() == 0 else ["sudo", "-n"]), *command]


class Image:
    """A mounted image with storage in a separate folder; `close` removes everything."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage
        self.root = Path()
        self.base_bytes = 0
        self.config: dict[str, Any] = {}

    def build(self, base: Path) -> None:
        """Build from the checkout on top of a root file system, and mount the result."""
        scratch = self._buildah("from", "scratch")
        self._buildah("copy", "--quiet", scratch, str(base), "/")
        self._buildah("commit", "--quiet", "--rm", scratch, "localhost/base")
        self._buildah(
            *("build", "--isolation", "chroot", "--format", "docker", "--pull-never"),
            *("--build-arg", "PYTHON_IMAGE=localhost/base", "--tag", "localhost/app", str(ROOT)),
        )
        self.config = json.loads(self._buildah("inspect", "--type", "image", "localhost/app"))
        self.root = Path(self._buildah("mount", self._buildah("from", "localhost/app")))
        self.base_bytes = _bytes(base)

    @property
    def bytes(self) -> int:
        """The size of the image without its base."""
        return _bytes(self.root) - self.base_bytes

    @property
    def docker(self) -> dict[str, Any]:
        """The image's run configuration: User, Env, Entrypoint, Cmd, Healthcheck …"""
        config: dict[str, Any] = self.config["Docker"]["config"]
        return config

    def command(
        self, *arguments: str, entrypoint: Iterable[str] | None = None, **environment: str
    ) -> list[str]:
        """Return the command that runs the image with these arguments, read-only, as its user."""
        config = self.docker
        variables = dict(one.split("=", 1) for one in config["Env"]) | environment
        inside = [*(config["Entrypoint"] if entrypoint is None else entrypoint), *arguments]
        if not arguments:
            inside += config["Cmd"] if entrypoint is None else []
        settings = [f"{name}={value}" for name, value in variables.items()]
        # The engine would set the working directory; here `env -C` sets it.
        program = ["/usr/bin/env", "-i", "-C", config["WorkingDir"], *settings, *inside]
        unshare = ("unshare", "--mount", "sh", "-c", _RUN, "sh", str(self.root), config["User"])
        return as_root(*unshare, *program)

    def run(self, *inside: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the image until it ends."""
        return subprocess.run(
            self.command(entrypoint=inside, **environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def close(self) -> None:
        """Remove everything."""
        self._buildah("umount", "--all")
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")
        subprocess.run(as_root("rm", "-rf", str(self._storage)), check=False)

    def _buildah(self, *arguments: str) -> str:
        storage = ("--root", f"{self._storage}/images", "--runroot", f"{self._storage}/run")
        done = subprocess.run(
            as_root("buildah", *storage, *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        if done.returncode:
            raise RuntimeError(
                f"buildah {arguments[0]}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done.stdout.strip()


def make_base(root: Path, environment: Mapping[str, str]) -> None:
    """Make the stand-in for the base image: a root file system with this machine's Python and pip.

    `environment` gives pip its settings: an index or a certificate of this machine.
    """
    prefix = Path(sys.base_prefix)
    python = prefix / "bin" / f"python{sysconfig.get_python_version()}"
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(prefix)}))
    shutil.copytree(library, root / library.relative_to("/"), ignore=_NO_PART_OF_A_BASE)
    programs = [Path(found).resolve() for name in _PROGRAMS if (found := shutil.which(name))]
    for name, path in zip(_PROGRAMS, programs, strict=True):
        _copy(path, root / "usr" / "bin" / name)
    _copy(python.resolve(), root / python.relative_to("/"))
    for libraries in _libraries([python, *programs, *(library / "lib-dynload").glob("*.so")]):
        _copy(libraries.resolve(), root / libraries.relative_to("/"))
    for file in _FILES:
        if Path(file).exists():
            _copy(Path(file), root / file.lstrip("/"))
    for folder in ("tmp", "dev", "proc", "etc", "usr/bin", "bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "bin" / "sh").symlink_to("/usr/bin/sh")
    if python != Path("/usr/bin/python3"):
        (root / "usr" / "bin" / "python3").symlink_to(python)
    packages = root / library.relative_to("/") / "site-packages"
    bundled = next((library / "ensurepip" / "_bundled").glob("pip-*.whl"))
    shutil.unpack_archive(bundled, packages, "zip")
    settings = [
        f"{name.removeprefix('PIP_').lower().replace('_', '-')} = {value}\n"
        for name, value in environment.items()
        if name in {"PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"}
    ]
    (root / "etc" / "pip.conf").write_text("".join(["[global]\n", *settings]))


def _libraries(programs: Iterable[Path]) -> set[Path]:
    """Return the libraries that programs load, their loader, and those that wheels expect."""
    loaded = _printed("ldd", *map(str, programs))
    known = _printed("/sbin/ldconfig", "-p")
    found = re.findall(r"(?:=> |^\t)(/\S+) \(0x", loaded, re.MULTILINE)
    found += re.findall(
        rf"^\tlib(?:{_EXPECTED})\.so\.\d \(libc6.*\) => (/\S+)$", known, re.MULTILINE
    )
    return {Path(path) for path in found}


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _bytes(folder: Path) -> int:
    done = subprocess.run(
        as_root("du", "--summarize", "--bytes", "--one-file-system", str(folder)),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[0])
