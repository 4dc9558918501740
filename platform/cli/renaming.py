"""Renames words in Python code by syntax: for `./app new`.

`router.post` stays where `post` becomes `bookmark`: an attribute is renamed only if the copied code
defines it, and a method of HTTP never.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

_VERBS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request"})
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LITERAL: Final = re.compile(r"(?is)([rbuf]*)('{3}|\"{3}|'|\")(.*)\2")


@dataclass(frozen=True)
class Renaming:
    """What becomes what, in snake_case: `words`; and what the copied code defines: `defined`.

    Names from the modules of `own` are the copied code's; all other imported names stay. With
    `whole`, only names that are such a word as a whole are renamed: not create_post_now.
    """

    words: Mapping[str, str]
    defined: frozenset[str] = frozenset()
    own: tuple[str, ...] = ("features.",)
    whole: bool = False
    _parts: list[tuple[list[str], list[str]]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Sort the words: the longest first."""
        pairs = [(old.split("_"), new.split("_")) for old, new in self.words.items()]
        self._parts.extend(sorted(pairs, key=lambda pair: -len(pair[0])))

    def name(self, name: str) -> str:
        """Rename an identifier: note_id, NewNote, NOTE_NOT_FOUND."""
        bare = name.strip("_")
        if self.whole or not bare:
            return self.words.get(name, name)
        upper, snake = bare.isupper(), "_" in bare or bare.islower() or bare.isupper()
        parts = bare.lower().split("_") if snake else [one.lower() for one in _CAMEL.findall(bare)]
        renamed = self._replaced(parts)
        if renamed == parts:
            return name
        if snake:
            new = "_".join(renamed)
            new = new.upper() if upper else new
        else:
            new = "".join(one.capitalize() for one in renamed)
        return name.replace(bare, new)

    def text(self, text: str) -> str:
        """Rename the words of a text: of a path, a key, an error code, or a sentence."""
        if text.lower() in _VERBS:
            return text
        prose = any(one.isspace() for one in text)
        url = not text.startswith("/rest/")  # PostgREST's paths are names of tables
        path = url and text.startswith("/")

        def word(found: re.Match[str]) -> str:
            old = found[0]
            if old.isupper() and old.lower() in _VERBS:
                return old
            new = self._title(old) if prose and old.istitle() else self.name(old)
            if new != old and "_" not in old and old.islower():
                # A placeholder, or a table: no words.
                braced = text[: found.start()].endswith(("{", "public."))
                if not braced and (path or (url and text[: found.start()].endswith("/"))):
                    return new.replace("_", "-")
                if prose and not braced:
                    return new.replace("_", " ")
            return new

        renamed = _WORD.sub(word, text)
        return _articles(renamed) if renamed != text and prose else renamed

    def code(self, source: str) -> str:
        """Rename in a module: identifiers that it may, strings and comments."""
        tree = ast.parse(source)
        foreign, own = self._foreign(tree), self._own_modules(tree)
        lines = source.splitlines(keepends=True)
        changes: list[tuple[int, int, int, str]] = []
        depth = 0
        for before, token, after in _tokens(source):
            row, start, text = token.start[0], token.start[1], token.string
            depth += (text in {"(", "["}) - (text in {")", "]"})
            if token.type == tokenize.COMMENT:
                new = "#" + self.text(text[1:])
            elif token.type == tokenize.STRING:
                new = self.literal(text, foreign)
            elif token.type == tokenize.NAME and (
                self._may(before, text, after if depth else "", foreign) or start < own.get(row, 0)
            ):
                new = self.name(text)
            else:
                continue
            if new != text:
                changes.append((row, start, token.end[0], text + "\0" + new))
        for row, start, end_row, change in reversed(changes):
            old, _, new = change.partition("\0")
            rest = "".join(lines[row - 1 : end_row])
            lines[row - 1 : end_row] = [rest[:start] + new + rest[start + len(old) :]]
        return "".join(lines)

    def sql(self, sql: str) -> str:
        """Rename in a migration: names everywhere, and words in comments."""
        return "".join(
            self.text(line)
            if line.startswith("--")
            else _WORD.sub(lambda one: self.name(one[0]), line)
            for line in sql.splitlines(keepends=True)
        )

    def literal(self, literal: str, foreign: frozenset[str] = frozenset()) -> str:
        """Rename inside of a string literal; code between the braces of an f-string is code."""
        found = _LITERAL.fullmatch(literal)
        if found is None:
            return literal
        prefix, quote, body = found.groups()
        if "f" not in prefix.lower():
            return f"{prefix}{quote}{self.text(body)}{quote}"
        parts, codes = _fields(body)
        marked = "".join(
            part if place == len(codes) else f"{part}{{\x01}}" for place, part in enumerate(parts)
        )
        texts = self.text(marked).split("{\x01}")
        new = [texts[0]]
        for code, text in zip(codes, texts[1:], strict=True):
            new += ["{", self._expression(code, foreign), "}", text]
        return f"{prefix}{quote}{''.join(new)}{quote}"

    def _expression(self, code: str, foreign: frozenset[str]) -> str:
        def word(found: re.Match[str]) -> str:
            before = code[found.start() - 1 : found.start()]
            after = code[found.end() : found.end() + 1]
            may = self._may(before, found[0], after, foreign)
            return self.name(found[0]) if may else found[0]

        return _WORD.sub(word, code)

    def _may(self, before: str, name: str, after: str, foreign: frozenset[str]) -> bool:
        if before == ".":
            return name in self.defined and name not in _VERBS
        if after == "=" and before in {"(", ","}:
            return name in self.defined
        return name not in foreign

    def _foreign(self, tree: ast.Module) -> frozenset[str]:
        """Return the names that a module imports from code that is not copied."""
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not self._is_own(node):
                found |= {alias.asname or alias.name for alias in node.names}
        return frozenset(found)

    def _own_modules(self, tree: ast.Module) -> dict[int, int]:
        """Return where the module's name ends, by line, in each import of copied code."""
        return {
            node.lineno: node.col_offset + len("from ") + node.level + len(node.module)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and self._is_own(node)
        }

    def _is_own(self, node: ast.ImportFrom) -> bool:
        return (
            node.level == 1
            or f"{node.module}.".startswith(self.own)
            or (node.level > 1 and not self.whole)
        )

    def _replaced(self, parts: list[str]) -> list[str]:
        done: list[str] = []
        place = 0
        while place < len(parts):
            for old, new in self._parts:
                if parts[place : place + len(old)] == old:
                    done += new
                    place += len(old)
                    break
            else:
                done.append(parts[place])
                place += 1
        return done

    def _title(self, old: str) -> str:
        """Rename the first word of a sentence."""
        new = self.words.get(old.lower())
        return new.replace("_", " ").capitalize() if new else self.name(old)


def defined_in(sources: Iterable[str]) -> frozenset[str]:
    """Return the names that modules define: functions, classes, constants, fields, parameters."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.arg):
                found.add(node.arg)
            if isinstance(node, ast.ClassDef | ast.Module):
                found |= {
                    target.id
                    for statement in node.body
                    for target in _targets(statement)
                    if isinstance(target, ast.Name)
                }
    return frozenset(found)


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AnnAssign) else []


def _tokens(source: str) -> Iterator[tuple[str, tokenize.TokenInfo, str]]:
    """Yield the tokens with the texts before and after; an f-string is one token."""
    merged: list[tokenize.TokenInfo] = []
    depth, begun = 0, (0, 0)
    start_kind = getattr(tokenize, "FSTRING_START", None)  # Python 3.12 and newer
    end_kind = getattr(tokenize, "FSTRING_END", None)
    lines = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if start_kind is not None and token.type == start_kind:
            begun = begun if depth else token.start
            depth += 1
        elif end_kind is not None and token.type == end_kind:
            depth -= 1
            if not depth:
                text = "".join(lines[begun[0] - 1 : token.end[0]])
                tail = len(lines[token.end[0] - 1]) - token.end[1]
                text = text[begun[1] : len(text) - tail]
                merged.append(
                    tokenize.TokenInfo(tokenize.STRING, text, begun, token.end, token.line)
                )
        elif not depth:
            merged.append(token)
    shown = [one for one in merged if one.type not in {tokenize.NL, tokenize.NEWLINE}]
    texts = ["", *(one.string for one in shown), ""]
    for place, token in enumerate(shown):
        yield texts[place], token, texts[place + 2]


def _fields(body: str) -> tuple[list[str], list[str]]:
    """Split the body of an f-string into its texts, and the code between them."""
    texts, codes = [""], list[str]()
    depth = place = 0
    while place < len(body):
        one = body[place]
        if not depth and body[place : place + 2] in {"{{", "}}"}:
            texts[-1] += body[place : place + 2]
            place += 2
            continue
        if one == "{":
            depth += 1
            if depth == 1:
                codes.append("")
                place += 1
                continue
        elif one == "}":
            depth -= 1
            if not depth:
                texts.append("")
                place += 1
                continue
        if depth:
            codes[-1] += one
        else:
            texts[-1] += one
        place += 1
    return texts, codes


def _articles(text: str) -> str:
    """Write "an" before a vowel, and "a" before any other letter."""
    words = re.split(r"(\s+)", text)
    for (place, word), (_, after) in pairwise(list(enumerate(words))[::2]):
        if word.lower() in {"a", "an"} and after[:1].isalpha():
            right = "an" if after[0].lower() in "aeio" else "a"
            words[place] = right.capitalize() if word[0].isupper() else right
    return "".join(words)
