"""S2: the time of each regular expression grows linearly with any input.

The expressions are found in the source, so a new one is tested without being listed here. The
inputs are built from the parts of an expression: each part that can repeat is repeated many times,
after a text that leads to it, and before a character that does not match.
"""

import ast
import contextlib
import gc
import importlib
import re
import signal
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from cli.cached import _pattern
from kernel.boot.discovery import discover
from kernel.edge.routes import RouteTable, routes_of
from kernel.live import Topics

ROOT = Path(__file__).parents[2]
PLACES = [one for one in ("features", "platform", "devstack", "bench") if (ROOT / one).is_dir()]
# These read the developer's own checkout only: nobody else chooses what they match.
OF_CHECKOUT = frozenset({
    f"platform/cli/{name}.py" for name in ("copying", "kinds", "remove", "renaming", "slice_lint")
})  # fmt: skip
METHODS = frozenset({"search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"})
LONGEST = 8 * 1024
MEASURABLE = 0.002
"""The CPU seconds from which the times of n and 2n can be compared."""
STEPS = 3.0
"""The maximum factor of the time for twice the input: 2 is linear, 4 is quadratic."""


@dataclass(frozen=True)
class Expression:
    """One expression in the code, and the methods that use it."""

    name: str
    pattern: "re.Pattern[Any]"
    methods: frozenset[str]


def of_routes(attribute: Callable[[Any], Iterator["re.Pattern[str]"]]):
    return lambda: list(attribute(routes_of(discover())))


# Expressions that are created while the program runs, by the function that creates them.
MADE = {
    "platform/cli/cached.py:_kept": of_routes(
        lambda routes: (
            re.compile(_pattern(cached.key))
            for one in routes
            if one.cache
            for cached in one.cache.prefixes
        )
    ),
    "platform/cli/install.py:remedy": lambda: [
        re.compile(case["after"])
        for case in tomllib.loads((ROOT / "platform/cli/install_remedies.toml").read_text())[
            "remedy"
        ]
    ],
    "platform/kernel/edge/routes.py:__init__": of_routes(
        lambda routes: (one for one, _ in RouteTable(routes)._with_parameters.values())
    ),
    "platform/kernel/live/topic.py:_pattern": lambda: [
        pattern
        for pattern, _ in Topics(
            topic for feature in discover().values() for topic in feature.topics
        )._patterns
    ],
    "platform/kernel/cache/canonical.py:__init__": of_routes(
        lambda routes: (one.cache._request._path for one in routes if one.cache)
    ),
}


# Expressions that are passed to another class, and the methods that it uses. All others are tested
# with the methods that are called on their names, or with all methods if there are none.
HANDED_ON = {"gateway/rest/": frozenset({"match"})}


def sources() -> list[Path]:
    found = (path for place in PLACES for path in (ROOT / place).rglob("*.py"))
    return sorted(
        path
        for path in found
        if "tests" not in path.relative_to(ROOT).parts
        and path.relative_to(ROOT).as_posix() not in OF_CHECKOUT
    )


@cache
def texts() -> str:
    return "\n".join(path.read_text() for path in sources())


def methods_of(name: str, place: str) -> frozenset[str]:
    found = METHODS.intersection(re.findall(rf"\b{re.escape(name)}\.(\w+)\(", texts()))
    handed_on = [methods for part, methods in HANDED_ON.items() if part in place]
    return found or next(iter(handed_on), METHODS)


def module_of(path: Path) -> Any:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "platform" else parts
    return importlib.import_module(".".join(parts).removesuffix(".__init__"))


def flags_of(call: ast.Call) -> int:
    arguments = [*call.args[1:], *(one.value for one in call.keywords if one.arg == "flags")]
    texts = [ast.unparse(one) for one in arguments if "re." in ast.unparse(one)]
    return eval("|".join(texts), {"re": re}) if texts else 0


def expressions_of(path: Path) -> Iterator[Expression]:
    """Yield the expressions of a file. Raises LookupError for one whose pattern is unknown."""
    place = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text())
    if any(isinstance(one, ast.ImportFrom) and one.module == "re" for one in ast.walk(tree)):
        raise LookupError(f"{place}: write `import re`, so that this test sees what is compiled")
    assigned, within = names_in(tree)
    call: Any
    for call in filter(is_of_re, ast.walk(tree)):
        name, function = assigned.get(call, ""), call.func.attr
        where, methods = f"{place}:{call.lineno}", methods_of(name, place) if name else METHODS
        if isinstance(call.args[0], ast.Constant):
            pattern: re.Pattern[Any] = re.compile(call.args[0].value, flags_of(call))
            yield Expression(where, pattern, frozenset({function} & METHODS) or methods)
        elif call not in within and name:
            yield Expression(where, vars(module_of(path))[name], methods)
        elif made := MADE.get(f"{place}:{within.get(call)}"):
            yield from (Expression(where, one, frozenset({"fullmatch"})) for one in made())
        else:
            raise LookupError(f"{where}: add to MADE how this expression is created")


def is_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "re"
        and node.func.attr in {"compile", *METHODS}
    )


def names_in(tree: ast.AST) -> tuple[dict[ast.AST, str], dict[ast.AST, str]]:
    """Return the names that values are assigned to, and the functions that contain nodes."""
    assigned: dict[ast.AST, str] = {}
    within: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            assigned[node.value] = ast.unparse(target)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            within.update(dict.fromkeys(ast.walk(node), node.name))
    return assigned, within


def found() -> list[Expression]:
    distinct = {
        (one.pattern, one.methods): one for path in sources() for one in expressions_of(path)
    }
    return list(distinct.values())


# Input ---------------------------------------------------------------------------------------


def characters(body: Any) -> list[int]:
    """Return a few characters of a set, or a few that it does not exclude."""
    if body[0][0] is sre.NEGATE:
        forbidden = {code for kind, code in body[1:] if kind is sre.LITERAL}
        return [code for code in map(ord, "a./:0-") if code not in forbidden][:2] or [0x7E]
    some: list[int] = []
    for kind, what in body:
        if kind is sre.LITERAL:
            some.append(what)
        elif kind is sre.RANGE:
            some += what
        elif kind is sre.CATEGORY:
            some.append(ord(" ") if "SPACE" in str(what) else ord("0"))
    return some


def example(parsed: Any, choice: int) -> str:
    """Return a text that (almost) matches; `choice` varies it."""
    text = ""
    for kind, what in parsed:
        if kind is sre.LITERAL:
            text += chr(what)
        elif kind is sre.NOT_LITERAL:
            text += "a" if what != ord("a") else "b"
        elif kind is sre.ANY:
            text += "a."[choice % 2]
        elif kind is sre.IN:
            some = characters(what)
            text += chr(some[choice % len(some)])
        elif kind is sre.BRANCH:
            text += example(what[1][choice % len(what[1])], choice)
        elif kind is sre.SUBPATTERN:
            text += example(what[3], choice)
        elif kind in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            text += example(what[2], choice) * max(1, what[0])
        elif kind in {sre.ASSERT, sre.ATOMIC_GROUP}:
            inner = what[1] if kind is sre.ASSERT else what
            text += example(inner, choice)
    return text


def repeats(parsed: Any, before: str, choice: int) -> Iterator[tuple[str, str]]:
    """Yield each part that can repeat, after the text that leads to it."""
    for index, (kind, what) in enumerate(parsed):
        lead = before + example(parsed[:index], choice)
        if kind in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            yield lead, example(what[2], choice)
            yield from repeats(what[2], lead, choice)
        elif kind is sre.BRANCH:
            for branch in what[1]:
                yield lead, example(branch, choice)
                yield from repeats(branch, lead, choice)
        elif kind is sre.SUBPATTERN:
            yield from repeats(what[3], lead, choice)
        elif kind in {sre.ASSERT, sre.ATOMIC_GROUP}:
            yield from repeats(what[1] if kind is sre.ASSERT else what, lead, choice)


def attacks(pattern: "re.Pattern[Any]") -> set[tuple[str, str, str]]:
    """Return triples: the first text, the repeated text, and the last text."""
    parsed = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    made = set()
    for choice in range(3):
        whole = example(parsed, choice)
        pumps = {("", whole), ("", whole[:-1])}
        for lead, part in repeats(parsed, "", choice):
            pumps |= {(lead, part), ("", lead), ("", lead + part), ("", part)}
        made |= {(lead, part, end) for lead, part in pumps if part for end in ("", "\x00")}
    return made


# Time ----------------------------------------------------------------------------------------


def cpu(call: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        started = time.thread_time()
        call()
        spent.append(time.thread_time() - started)
    return min(spent)


def caller(expression: Expression, method: str, attack: tuple[str, str, str], length: int):
    lead, part, end = attack
    text = lead + part * (length // len(part)) + end
    subject: Any = text
    if isinstance(expression.pattern.pattern, bytes):
        subject = text.encode("latin-1", "replace")
    pattern = expression.pattern
    if method in {"sub", "subn"}:
        return lambda: getattr(pattern, method)(subject[:0], subject)
    if method == "finditer":
        return lambda: sum(1 for _ in pattern.finditer(subject))
    return lambda: getattr(pattern, method)(subject)


class TooSlow(Exception):
    pass


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Abort after this CPU time: some expressions double their time with each character."""

    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def is_linear(expression: Expression, method: str, attack: tuple[str, str, str]) -> bool:
    try:
        with at_most(seconds=4):
            return grows_linearly(expression, method, attack)
    except TooSlow:
        return False


def grows_linearly(expression: Expression, method: str, attack: tuple[str, str, str]) -> bool:
    length = 16
    while True:
        once = cpu(caller(expression, method, attack, length), 1)
        if once >= MEASURABLE:
            break
        if length >= LONGEST:
            return True
        length *= 2 if once > MEASURABLE / 4 else 4
    for _ in range(4):  # other programs disturb measurements: one quiet comparison is enough
        once = cpu(caller(expression, method, attack, length), 5)
        if cpu(caller(expression, method, attack, 2 * length), 3) < STEPS * once:
            return True
    return False


@pytest.fixture(autouse=True)
def no_garbage_collection():
    gc.disable()
    yield
    gc.enable()


def slow_one(expression: Expression) -> str | None:
    """Return the first input whose time grows faster than its length."""
    for attack in sorted(attacks(expression.pattern)):
        for method in sorted(expression.methods):
            if not is_linear(expression, method, attack):
                return f"{expression.pattern.pattern!r}, {method}, given {attack!r}"
    return None


@pytest.mark.parametrize("expression", found(), ids=lambda one: one.name)
def test_s2_an_expression_takes_twice_as_long_for_twice_the_input(expression):
    assert slow_one(expression) is None


def test_s2_all_expressions_are_found():
    names = {one.name.partition(":")[0] for one in found()}
    assert {"platform/kernel/observe/logs.py", "platform/kernel/edge/routes.py"} <= names
    assert len(names) > 10


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"eyJ[\w-]{8,}\.[\w-]+", "sub"),  # this one blocked a process for 4.5 s
        (r"(?<=input_value=).*?(?=, input_type=)", "sub"),
        (r"(?:a+)+b", "match"),
        (r"<(script|style)\b.*?</\1\s*>", "search"),
        (r"\s+$", "search"),
        (rb"(?:x|xx)*y", "fullmatch"),
    ],
)
def test_s2_an_expression_that_is_not_linear_is_noticed(pattern, method):
    shown = Expression("here", re.compile(pattern), frozenset({method}))
    # A disturbed measurement can look linear, but not three times in a row.
    assert any(slow_one(shown) is not None for _ in range(3))


def test_s2_an_expression_whose_pattern_is_unknown_is_an_error(tmp_path, monkeypatch):
    file = tmp_path / "features" / "new.py"
    file.parent.mkdir()
    file.write_text("import re\n\ndef made(name):\n    return re.compile(name + '+')\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(LookupError, match="add to MADE"):
        list(expressions_of(file))
