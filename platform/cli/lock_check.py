"""The locks are complete: a lock satisfies each requirement of each locked package.

Installations resolve nothing, so a package that is missing in the locks would be missing in
production.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import distributions
from itertools import product
from pathlib import Path

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from cli.checkout import ROOT
from cli.install import LOCKS, ON_DEMAND, blocks

Environment = dict[str, str]
# Not macOS on x86_64: cryptography no longer has wheels for it.
PLATFORMS = {
    "Linux x86_64": ("linux", "Linux", "x86_64"),
    "Linux arm64": ("linux", "Linux", "aarch64"),
    "macOS arm64": ("darwin", "Darwin", "arm64"),
}
# A marker may start or stop to apply within a minor version: try the first and a last one.
FIRST, LAST = ".0", ".99"


@dataclass(frozen=True)
class Locked:
    """An entry of a lock."""

    name: str
    version: Version
    marker: Marker | None

    def holds(self, environment: Environment) -> bool:
        """Return whether it is installed there."""
        return self.marker is None or self.marker.evaluate(environment)


@dataclass
class Report:
    """The faults of the locks, and the environments that have them."""

    faults: dict[str, list[str]] = field(default_factory=dict)

    def add(self, fault: str, environment: str) -> None:
        """Record a fault."""
        where = self.faults.setdefault(fault, [])
        if environment not in where:
            where.append(environment)

    def lines(self, total: int) -> list[str]:
        """Return a line for each fault; it names the environments unless all `total` have it."""
        return [
            fault if len(where) == total else f"{fault} ({', '.join(where)})"
            for fault, where in sorted(self.faults.items())
        ]


def read_lock(text: str) -> dict[str, Locked]:
    """Return the entries of a lock by normalized name. Raises ValueError for an unpinned one."""
    found: dict[str, Locked] = {}
    for entry in blocks(text).values():
        requirement = Requirement(entry.splitlines()[0].rstrip(" \\"))
        pins = [pin.version for pin in requirement.specifier if pin.operator == "=="]
        if len(pins) != 1:
            raise ValueError(f"{requirement} is not pinned with ==")
        name = canonicalize_name(requirement.name)
        found[name] = Locked(name, Version(pins[0]), requirement.marker)
    return found


def pythons(project: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the supported Pythons, oldest first, from the project's classifiers."""
    start = "Programming Language :: Python :: 3."
    return [text.rpartition(" ")[2] for text in project["classifiers"] if text.startswith(start)]


def environments(
    versions: Sequence[str], patches: Sequence[str] = (FIRST, LAST)
) -> Iterator[tuple[str, Environment]]:
    """Yield a name and the variables of markers for each supported Python and platform."""
    for version, patch, (name, values) in product(versions, patches, PLATFORMS.items()):
        sys_platform, system, machine = values
        yield (
            f"Python {version} {name}",
            {
                **{name: str(value) for name, value in default_environment().items()},
                "implementation_name": "cpython",
                "implementation_version": version + patch,
                "os_name": "posix",
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_system": system,
                "python_full_version": version + patch,
                "python_version": version,
                "sys_platform": sys_platform,
            },
        )


def installed() -> dict[str, tuple[Version, list[Requirement]]]:
    """Return version and requirements of each installed package by normalized name."""
    return {
        canonicalize_name(found.name): (
            Version(found.version),
            [Requirement(text) for text in found.requires or []],
        )
        for found in distributions()
    }


def unmet(
    wanted: Sequence[str],
    lock: Mapping[str, Locked],
    requirements: Mapping[str, Sequence[Requirement]],
    versions: Sequence[str],
) -> list[str]:
    """Return a line for each requirement that the lock does not satisfy in some environment.

    `wanted` are the project's own, `requirements` those of each locked package.
    """
    report = Report()
    places = list(environments(versions))
    for place, environment in places:
        todo = [("pyproject.toml", Requirement(text), "") for text in wanted]
        seen = {(name, "") for name, locked in lock.items() if locked.holds(environment)}
        todo += [(name, each, "") for name, _ in seen for each in requirements.get(name, [])]
        while todo:
            by, requirement, extra = todo.pop()
            variables = environment | {"extra": extra}
            if requirement.marker and not requirement.marker.evaluate(variables):
                continue
            name = canonicalize_name(requirement.name)
            found = lock.get(name)
            if found is None or not found.holds(environment):
                report.add(f"{by} needs {requirement}: not in the lock", place)
                continue
            if not requirement.specifier.contains(found.version, prereleases=True):
                report.add(f"{by} needs {requirement}: the lock has {found.version}", place)
            for new in {(name, extra) for extra in requirement.extras} - seen:
                seen.add(new)
                todo += [(name, each, new[1]) for each in requirements.get(name, [])]
    return report.lines(len({place for place, _ in places}))


def wanted_by(root: Path) -> tuple[list[str], list[str]]:
    """Return the requirements of production, and the further ones of development."""
    main = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    more = [text for group in main["dependency-groups"].values() for text in group]
    for path in (root / "devstack" / "pyproject.toml",):
        if path.exists():
            more += tomllib.loads(path.read_text("utf-8"))["project"]["dependencies"]
    return main["project"]["dependencies"], more


def faults(root: Path) -> list[str]:
    """Return the faults of this checkout's locks, a line each."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    production, development = (read_lock((root / name).read_text("utf-8")) for name in LOCKS)
    everything = {**production, **development}
    here = installed()
    found = [
        f"{LOCKS[0] if locked.name in production else LOCKS[1]} has {locked.name} "
        f"{locked.version}, and .venv {here[locked.name][0] if locked.name in here else 'none'}: "
        "remove .venv, so that the next ./app makes it again"
        for locked in everything.values()
        if locked.holds({**default_environment(), "extra": ""})  # type: ignore[dict-item]
        and locked.name not in ON_DEMAND
        and (locked.name not in here or here[locked.name][0] != locked.version)
    ]
    requirements = {name: wanted for name, (_, wanted) in here.items()}
    main, more = wanted_by(root)
    for name, wanted, lock in (
        (LOCKS[0], main, production),
        (LOCKS[1], [*main, *more], everything),
    ):
        found += [f"{name}: {line}" for line in unmet(wanted, lock, requirements, pythons(project))]
    return found


if __name__ == "__main__":
    if lines := faults(ROOT):
        sys.exit("\n".join([*lines, "Write the locks again: ./app lock"]))
    print("The locks are complete.")  # noqa: T201
