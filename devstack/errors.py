"""Errors for the developer who starts the stack."""

from collections.abc import Iterable

_COMPARED = 2


class StackError(Exception):
    """One sentence for a person: the fault, and what to do about it."""


class ProgramError(StackError):
    """A program ended or did not start; `what` says so, `lines` are its last lines."""

    def __init__(self, name: str, what: str, lines: Iterable[str]) -> None:
        super().__init__(_sentence([name], what, lines))
        self.name, self.what, self.lines = name, what, list(lines)


def said_once(errors: Iterable[ProgramError]) -> str:
    """Return the failures of programs; those with the same last lines share a paragraph."""
    groups: dict[tuple[str, ...], list[ProgramError]] = {}
    for error in errors:
        groups.setdefault(tuple(error.lines[-_COMPARED:]), []).append(error)
    return "\n".join(
        _sentence([one.name for one in group], group[0].what, group[0].lines)
        for group in groups.values()
    )


def together(names: Iterable[str]) -> str:
    """Return names as one phrase: api, worker and relay."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _sentence(names: list[str], what: str, lines: Iterable[str]) -> str:
    sentence = f"{together(names)} {what}"
    if not lines:
        return f"{sentence} and printed nothing."
    return "\n    ".join(
        [f"{sentence}. Its last lines:" if len(names) == 1 else f"{sentence}:", *lines]
    )
