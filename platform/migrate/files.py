"""The files of supabase/migrations: names, order and statements."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE_NAME: Final = re.compile(r"(\d{14})_(.+)\.sql")
# Tokens in which a semicolon does not end a statement, and the semicolon that does. An unclosed
# token extends to the end of the text: repeated searches for its end would take long.
_TOKEN: Final = re.compile(
    r"""--[^\n]* | /\*(?:.*?\*/|.*) | [eE]'(?:[^'\\]|\\.|'')*+(?:'|.*)
    | '(?:[^']|'')*+(?:'|\Z) | "(?:[^"]|"")*+(?:"|\Z)
    | (?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$)(?:.*?(?P=tag)|.*) | (?P<end>;)""",
    re.VERBOSE | re.DOTALL,
)
# Without possessive quantifiers: a lookahead within one never matches in Python 3.11.2.
_CONTROL: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*(?:begin|start|commit|end|rollback|abort)\b",
    re.IGNORECASE,
)


class MigrationError(Exception):
    """A migration cannot be applied; the message is one sentence that names the file."""


class HistoryError(MigrationError):
    """The database has applied other migrations than those of the folder."""


@dataclass(frozen=True)
class Migration:
    """One file of the folder: 20261124000001_profiles.sql has that version and name `profiles`."""

    version: str
    name: str
    path: Path
    sql: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text, in hex, independent of line endings."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def controls_transactions(self) -> bool:
        """Whether a statement of it begins or ends a transaction."""
        return any(_CONTROL.match(statement) for statement in split_statements(self.sql))


def read_folder(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises MigrationError for a file name without a version, and for a duplicate version.
    """
    found: dict[str, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(
                f"{path.name} is not named like a migration: 14 digits, _, a name, .sql."
            )
        version, name = match.groups()
        if version in found:
            raise MigrationError(
                f"{found[version].path.name} and {path.name} have the same version: rename one."
            )
        found[version] = Migration(version, name, path, path.read_text(encoding="utf-8"))
    return list(found.values())


def split_statements(sql: str) -> list[str]:
    """Return the statements of a script, without their semicolons, for the history table."""
    ends = [match.start() for match in _TOKEN.finditer(sql) if match["end"]]
    starts = [0, *(end + 1 for end in ends)]
    parts = (sql[start:end].strip() for start, end in zip(starts, [*ends, len(sql)], strict=True))
    return [part for part in parts if part]
