"""Knobs: the constants of a Python, TOML, JSON or YAML file that a search may turn. Pure.

A knob is one literal at a known place, so turning it keeps every comment and all layout. A comment at
the end of its line says what it may become; it makes a knob of any constant, and a seed or a string
needs one:

    RATE = 0.02     # range: 0.005..0.1 log
    HEADS = 4       # range: 1..16
    MODE = "fast"   # choices: fast, exact

Without a comment, a positive number may go up and down by a factor (an UPPER_CASE one in Python), and
a bool may flip.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

Value = int | float | bool | str

INT_FACTOR = 4
FLOAT_FACTOR = 10
MOST_LITERALS = 200
"""A file with more literals than this is data, not settings: only the annotated ones count there."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; a `log` one is searched by factors."""

    low: float
    high: float
    log: bool = False

    def holds(self, value: Value) -> bool:
        return not isinstance(value, str) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """A few values without an order."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Knob:
    """One literal of a file: `start` and `end` are its character offsets in the text it was found in."""

    path: str
    name: str
    value: Value
    start: int
    end: int
    domain: Range | Choices
    annotated: bool = False

    @property
    def size(self) -> int | None:
        """How many values it can take; None for a float, where there is no end of them."""
        if isinstance(self.domain, Choices):
            return len(self.domain.values)
        return int(self.domain.high) - int(self.domain.low) + 1 if isinstance(self.value, int) else None


@lru_cache(maxsize=64)
def find(path: str, text: str) -> tuple[Knob, ...]:
    """Return the knobs of a file in the order they stand in it; none if it cannot be read."""
    suffix = path.rpartition(".")[2].lower()
    if suffix == "py":
        literals = _python_literals(text)
    elif suffix in _LOADERS:
        literals = _verified_literals(text, _LOADERS[suffix])
    else:
        return ()
    found = [knob for literal in literals if (knob := _knob(path, text, literal)) is not None]
    names = Counter(knob.name for knob in found)
    return tuple(knob for knob in found if names[knob.name] == 1)


def replace(text: str, knob: Knob, value: Value) -> str:
    """Return the text with the knob's literal set to a value, and nothing else changed."""
    return text[: knob.start] + _written(knob.path, value) + text[knob.end :]


def replace_all(text: str, values: Mapping[Knob, Value]) -> str:
    """Return the text with several of its knobs set at once."""
    for knob in sorted(values, key=lambda knob: knob.start, reverse=True):
        text = replace(text, knob, values[knob])
    return text


# --- from a literal to a knob ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Literal:
    """A constant and where it stands; `plain` ones are knobs even without a comment."""

    name: str
    value: Value
    start: int
    end: int
    plain: bool = True


_LUCK = re.compile(r"(?:^|[._])(?:seed|version)(?:$|[._])", re.IGNORECASE)  # turning these is no idea
_NUMBER = r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\brange:\s*({_NUMBER})\s*\.\.\s*({_NUMBER})(\s+log\b)?")
_CHOICES = re.compile(r"\bchoices:\s*(.+)")
_COMMENT = re.compile(r"[ \t,;)\]}]*#(.*)")
_BOOLS = {"true": True, "false": False}


def _knob(path: str, text: str, literal: _Literal) -> Knob | None:
    comment = _COMMENT.match(text, literal.end)
    note = comment[1] if comment else ""
    annotated = _is_note(note)
    if annotated:
        domain = _annotated_domain(note, literal.value)
    elif literal.plain and not _LUCK.search(literal.name):
        domain = _default_domain(literal.value)
    else:
        domain = None
    if domain is None:
        return None
    value = literal.value
    if isinstance(domain, Range) and not _all_integers(domain, value):
        value = float(value)
    return Knob(path, literal.name, value, literal.start, literal.end, domain, annotated)


def _is_note(comment: str) -> bool:
    return re.search(r"\b(?:range|choices):", comment) is not None


def _annotated_domain(note: str, value: Value) -> Range | Choices | None:
    """The domain a comment gives; None where it does not fit the value: better no knob than a wrong one."""
    if match := _RANGE.search(note):
        return _range(match, value)
    match = _CHOICES.search(note)
    words = [word.strip().strip("\"'") for word in match[1].split(",")] if match else []
    try:
        values = tuple(dict.fromkeys(_read_as(value, word) for word in words if word))
    except (KeyError, ValueError):
        return None
    return Choices(values) if len(values) > 1 else None


def _range(match: re.Match[str], value: Value) -> Range | None:
    low, high, log = float(match[1]), float(match[2]), match[3] is not None
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low < high
    return Range(low, high, log) if fits and not (log and low <= 0) else None


def _read_as(example: Value, word: str) -> Value:
    """A word of a comment as a value of the example's type; KeyError or ValueError where it is none."""
    return _BOOLS[word.lower()] if isinstance(example, bool) else type(example)(word)


def _default_domain(value: Value) -> Range | Choices | None:
    if isinstance(value, bool):
        return Choices((False, True))
    if isinstance(value, str) or value <= 0:
        return None
    if isinstance(value, int):
        return Range(float(max(1, value // INT_FACTOR)), float(value * INT_FACTOR), log=True)
    return Range(value / FLOAT_FACTOR, value * FLOAT_FACTOR, log=True)


def _all_integers(domain: Range, value: Value) -> bool:
    return isinstance(value, int) and domain.low.is_integer() and domain.high.is_integer()


def _written(path: str, value: Value) -> str:
    """The value as a literal. JSON's string escapes and a float with a dot mean the same in all four."""
    if isinstance(value, bool):
        return str(value) if path.lower().endswith(".py") else str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text = repr(value)
    # YAML 1.1 reads 1e-05 as a string.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


# --- Python: by the positions of the syntax tree -----------------------------------------------------


def _python_literals(text: str) -> Iterator[_Literal]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = _Lines(text)
    for name, node in _constants(tree.body, ""):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = lines.offset(node.lineno, node.col_offset)
        end = lines.offset(node.end_lineno, node.end_col_offset)
        yield _Literal(name, ast.literal_eval(node), start, end, plain=name.rpartition(".")[2].isupper())


def _constants(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.expr]]:
    """The names assigned a constant in a module or class body, with the constant's node."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name, body=inner):
                yield from _constants(inner, f"{prefix}{name}.")
            case ast.Assign(targets=[ast.Name(id=name)], value=node) if _is_constant(node):
                yield prefix + name, node
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node) if _is_constant(node):
                yield prefix + name, node


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = node.operand
        return isinstance(inner, ast.Constant) and type(inner.value) in (int, float)
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | str)


class _Lines:
    """Turns the syntax tree's line and UTF-8 byte column into a character offset."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Python ends a line at these three only; str.splitlines knows more.
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def offset(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        # A character has at least one byte, so `column` characters hold the first `column` bytes.
        head = self._text[start : start + column].encode()[:column]
        return start + len(head.decode())


# --- TOML, JSON, YAML: found by shape, believed only after a probe -----------------------------------

_Path = tuple[object, ...]
_Loader = Callable[[str], object]
_LEAF = re.compile(r"(?<![\w.+:\"'-])(?:true|false|True|False|" + _NUMBER + r")(?![\w.+:\"'-])")
_CHOICE_LINE = re.compile(r"[:=][ \t]*([^\s#][^#\n]*?)[ \t,]*#[^\n]*\bchoices:")


def _verified_literals(text: str, load: _Loader) -> Iterator[_Literal]:
    """The literals that a probe proves: writing another value there changes that one leaf, nothing else."""
    before = _leaves(text, load)
    if before is None:
        return
    for start, end in _candidate_spans(text):
        probe = _probe(text[start:end])
        after = _leaves(text[:start] + _written("", probe) + text[end:], load)
        path = _only_change(before, after, probe) if after is not None else None
        if path is not None:
            yield _Literal(".".join(str(key) for key in path), before[path], start, end)


def _candidate_spans(text: str) -> list[tuple[int, int]]:
    spans = {match.span() for match in _LEAF.finditer(text)}
    spans |= {match.span(1) for match in _CHOICE_LINE.finditer(text)}
    if len(spans) > MOST_LITERALS:
        spans = {span for span in spans if (note := _COMMENT.match(text, span[1])) and _is_note(note[1])}
    return sorted(spans)[:MOST_LITERALS]


def _probe(literal: str) -> Value:
    """A value of the literal's kind that nobody writes by hand; a bool's opposite."""
    if literal.lower() in ("true", "false"):
        return literal.lower() == "false"
    if not re.fullmatch(_NUMBER, literal):
        return "optiloop probe"
    return 8_675_309_421 if literal.lstrip("+-").replace("_", "").isdecimal() else 8_675_309.421


def _only_change(before: Mapping[_Path, Value], after: Mapping[_Path, Value], probe: Value) -> _Path | None:
    if before.keys() != after.keys():
        return None
    changed = [path for path, value in before.items() if after[path] != value]
    if len(changed) != 1:
        return None
    path = changed[0]
    return path if after[path] == probe and type(before[path]) is type(probe) else None


def _leaves(text: str, load: _Loader) -> dict[_Path, Value] | None:
    try:
        return dict(_walk(load(text), ()))
    except (ValueError, RecursionError):
        return None


def _walk(document: object, path: _Path) -> Iterator[tuple[_Path, Value]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _walk(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _walk(value, (*path, index))
    elif isinstance(document, int | float | str):
        yield path, document
    else:
        yield path, f"{type(document).__name__} {document}"


def _load_yaml(text: str) -> object:
    import yaml  # only a target with a YAML file pays for it

    if re.search(r"(?:^|[\s\[{,])\*\w", text):
        raise ValueError("an alias makes one literal several leaves")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


_LOADERS: Mapping[str, _Loader] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": _load_yaml,
    "yml": _load_yaml,
}
