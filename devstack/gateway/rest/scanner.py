"""Reads a parameter's text from left to right, and reports where that failed."""

import re
from typing import Final, NoReturn

from devstack.gateway.rest.errors import RestError
from devstack.gateway.rest.syntax import Field, Step

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_NAME: Final = re.compile(r"[\w $]+(?:-(?!>)[\w $]+)*")
_KEY: Final = re.compile(r"(?:[^(:.,>)\-]|-(?!>))+")
_INDEX: Final = re.compile(r"-?[0-9]{1,9}(?=->|::|[.,)]|$)")
# A flat list can express the same as deeper nesting, and every level is a level of recursion.
_MAX_DEPTH: Final = 32


class Scanner:
    """A cursor over `text`; every failure is a 400 PGRST100 that names `what`."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what = text, what
        self.at = self._depth = 0

    def accept(self, literal: str) -> bool:
        """Skip `literal` if it comes next."""
        found = self.text.startswith(literal, self.at)
        self.at += len(literal) * found
        return found

    def expect(self, literal: str) -> None:
        """Skip `literal`, or fail."""
        if not self.accept(literal):
            self.fail(f'"{literal}"')

    def take(self, pattern: re.Pattern[str]) -> str | None:
        """Skip the match of the pattern at this place and return it."""
        if match := pattern.match(self.text, self.at):
            self.at = match.end()
            return match[0]
        return None

    def quoted(self) -> str | None:
        """Take text in double quotes, in which a backslash escapes the next character."""
        text = self.take(_QUOTED)
        return None if text is None else re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)

    def name(self) -> str:
        """Take an identifier, in quotes or not."""
        text = self.quoted()
        text = (self.take(_NAME) or "").strip(" ") if text is None else text
        if not text:
            self.fail("field name (* or [a..z0..9_$])")
        return text

    def names(self) -> tuple[str, ...]:
        """Take identifiers with commas between them, to the end of the text."""
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        self.end()
        return tuple(found)

    def path(self) -> tuple[Step, ...]:
        """Take the arrows after a column's name."""
        steps: list[Step] = []
        while self.accept("->"):
            as_text = self.accept(">")
            index = self.take(_INDEX)
            key = index or self.quoted() or self.take(_KEY)
            if not key:
                self.fail("JSON key or index")
            steps.append(Step(key, as_text, index is not None))
        return tuple(steps)

    def field(self) -> Field:
        """Take a column's name and the path into its JSON."""
        return Field(self.name(), self.path())

    def end(self) -> None:
        """Fail unless the whole text was read."""
        if self.at < len(self.text):
            self.fail("end of input")

    def deeper(self) -> None:
        """Enter a nested list, or fail if there are too many levels."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self.fail(f"no more than {_MAX_DEPTH} levels")

    def shallower(self) -> None:
        """Leave a nested list."""
        self._depth -= 1

    def fail(self, expecting: str, *, unexpected: int | None = None) -> NoReturn:
        """Raise the parse error for this place; `unexpected` is the offending index."""
        index = self.at if unexpected is None else unexpected
        found = f'"{self.text[index]}"' if index < len(self.text) else "end of input"
        raise RestError(
            400,
            "PGRST100",
            f'"failed to parse {self.what} ({self.text})" (line 1, column {self.at + 1})',
            details=f"unexpected {found} expecting {expecting}",
        )
