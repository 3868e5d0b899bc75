"""Knobs: the constants of Python, TOML, JSON, YAML and shell files that a search may turn. Pure.

A knob is one literal at a known place, so turning it keeps every comment and all layout. A comment at
the end of its line says what it may become; it makes a knob of any constant, and a seed or a string
needs one. A function's name is one too, where a comment gives it choices:

    RATE = 0.02             # range: 0.005..0.1 log
    MODE = "fast"           # choices: fast, exact
    DIGITS = 4              # range: 1..16 when MODE == exact
    SOLVE = np.linalg.eig   # choices: np.linalg.eig, np.linalg.eigh

Without a comment, a positive number may go up and down by a factor, and a bool may flip: UPPER_CASE names
in Python and shell, keyword arguments of calls, `--flag=3` and `--flag 3` of commands, all of TOML, JSON and
YAML. What libraries offer in several ways (`swaps`) may be swapped.
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

from optiloop.swaps import ARGUMENTS, alternatives

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
class Condition:
    """A knob's: it does nothing unless another knob of its file, `name`, has the value written as `word`."""

    name: str
    word: str

    def met(self, values: Mapping[str, Value]) -> bool:
        value = values.get(self.name)
        return str(value).lower() == self.word.lower() if isinstance(value, bool) else str(value) == self.word


@dataclass(frozen=True)
class Knob:
    """One literal of a file: `start` and `end` are its character offsets in the text it was found in.

    `code` says that its values are Python expressions, written as they are.
    """

    path: str
    name: str
    value: Value
    start: int
    end: int
    domain: Range | Choices
    annotated: bool = False
    when: Condition | None = None
    code: bool = False

    @property
    def size(self) -> int | None:
        """How many values it can take; None for a float, where there is no end of them."""
        if isinstance(self.domain, Choices):
            return len(self.domain.values)
        return int(self.domain.high) - int(self.domain.low) + 1 if isinstance(self.value, int) else None


@lru_cache(maxsize=64)
def find(path: str, text: str) -> tuple[Knob, ...]:
    """Return the knobs of a file in the order they stand in it; none if it cannot be read.

    Of a name that stands for several literals there is none, nor one whose condition names no knob.
    """
    suffix = path.rpartition(".")[2].lower()
    if suffix == "py":
        literals = _python_literals(text)
    elif suffix in _SHELLS or re.match(r"#!.*\b(?:ba|da|k|z)?sh\b", text):
        literals = _shell_literals(text)
    elif suffix in _LOADERS:
        literals = _verified_literals(text, _LOADERS[suffix])
    else:
        return ()
    in_order = sorted(literals, key=lambda literal: literal.start)
    found = [knob for literal in in_order if (knob := _knob(path, text, literal)) is not None]
    names = Counter(knob.name for knob in found)
    known = {knob.name for knob in found if names[knob.name] == 1}
    return tuple(
        knob
        for knob in found
        if knob.name in known and (knob.when is None or knob.when.name in known - {knob.name})
    )


def replace(text: str, knob: Knob, value: Value) -> str:
    """Return the text with the knob's literal set to a value, and nothing else changed."""
    written = str(value) if knob.code else _written(knob.path, value)
    return text[: knob.start] + written + text[knob.end :]


def replace_all(text: str, values: Mapping[Knob, Value]) -> str:
    """Return the text with several of its knobs set at once."""
    for knob in sorted(values, key=lambda knob: knob.start, reverse=True):
        text = replace(text, knob, values[knob])
    return text


# --- from a literal to a knob ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Literal:
    """A constant and where it stands; `plain` ones are knobs even without a comment, `among` those values."""

    name: str
    value: Value
    start: int
    end: int
    plain: bool = True
    code: bool = False
    among: tuple[str, ...] = ()


_LUCK = re.compile(r"(?:^|[._])(?:seed|version)(?:$|[._])", re.IGNORECASE)  # turning these is no idea
_NUMBER = r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\brange:\s*({_NUMBER})\s*\.\.\s*({_NUMBER})(\s+log\b)?")
_CHOICES = re.compile(r"\bchoices:\s*(.+)")
_WHEN = re.compile(r"\bwhen\s+([\w.()-]+)\s*==\s*[\"']?([\w.+-]+)[\"']?")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_COMMENT = re.compile(r"[ \t,;)\]}]*#(.*)")
_BOOLS = {"true": True, "false": False}


def _knob(path: str, text: str, literal: _Literal) -> Knob | None:
    comment = _COMMENT.match(text, literal.end)
    note = comment[1] if comment else ""
    annotated = _is_note(note)
    when = _WHEN.search(note) if annotated else None
    if annotated:
        domain = _annotated_domain(_WHEN.sub("", note), literal.value)
    elif literal.among:
        domain = Choices(literal.among)
    elif literal.plain and not _LUCK.search(literal.name):
        domain = _default_domain(literal.value)
    else:
        domain = None
    if domain is None or (literal.code and not _all_names(domain)):
        return None
    value = literal.value
    if isinstance(domain, Range) and not _all_integers(domain, value):
        value = float(value)
    condition = Condition(when[1], when[2]) if when else None
    return Knob(
        path, literal.name, value, literal.start, literal.end, domain, annotated, condition, literal.code
    )


def _all_names(domain: Range | Choices) -> bool:
    return isinstance(domain, Choices) and all(_DOTTED.fullmatch(str(value)) for value in domain.values)


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
        if _is_constant(node):
            plain = name.rpartition(".")[2].isupper()
            yield _Literal(name, ast.literal_eval(node), *lines.span(node), plain=plain)
        else:
            yield _Literal(name, ast.unparse(node), *lines.span(node), plain=False, code=True)
    for scope, call in _calls(tree):
        if _is_dotted(call.func):
            yield from _call_literals(scope, ast.unparse(call.func), call, lines)


def _call_literals(scope: str, dotted: str, call: ast.Call, lines: _Lines) -> Iterator[_Literal]:
    """The function that is called, where others may take its place, and its keyword arguments."""
    short = dotted.rpartition(".")[2]
    if among := alternatives(dotted):
        yield _Literal(f"{scope}{among[0]}", dotted, *lines.span(call.func), code=True, among=among)
    for keyword in call.keywords:
        if keyword.arg is None or not _is_constant(keyword.value):
            continue
        value, known = ast.literal_eval(keyword.value), ARGUMENTS.get(f"{short}.{keyword.arg}", ())
        yield _Literal(
            f"{scope}{short}({keyword.arg})",
            value,
            *lines.span(keyword.value),
            plain=not _ANSWERS.fullmatch(keyword.arg),
            among=known if value in known else (),
        )


_ANSWERS = re.compile(
    "reverse|axis|keepdims|strict|start|end|step|base|ndigits|indent|default|initial|maxsplit|count|seed|"
    "random_state|ensure_ascii|newline|sort_keys|allow_nan|encoding|errors|file|flush|check|text"
)
"""Keyword arguments that say what the answer is, not how it is found: no knobs without a comment."""


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """All calls, each with the dotted name of the definitions it stands in and a dot."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        scope, node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope = f"{scope}{node.name}."
        if isinstance(node, ast.Call):
            yield scope, node
        waiting += [(scope, child) for child in ast.iter_child_nodes(node)]


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _constants(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.expr]]:
    """The names assigned a constant or another name in a module or class body, with its node."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name, body=inner):
                yield from _constants(inner, f"{prefix}{name}.")
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=node)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node)
            ) if _is_constant(node) or _is_dotted(node):
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

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Where an expression begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def offset(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        # A character has at least one byte, so `column` characters hold the first `column` bytes.
        head = self._text[start : start + column].encode()[:column]
        return start + len(head.decode())


# --- shell: assignments and flags --------------------------------------------------------------------

_SHELLS = ("sh", "bash", "ksh", "zsh")
_SHELL_VALUE = r"(?:0|[1-9]\d*)(?:\.\d+)?|true|false|[A-Za-z][\w./+-]*"
_SHELL_LITERAL = re.compile(
    rf"(?:(?<![\w.$-])(?P<name>[A-Za-z_]\w*)=|(?<![\w-])(?P<flag>--?[A-Za-z][\w-]*)(?:=|[ \t]+))"
    rf"(?P<quote>\"?)(?P<value>{_SHELL_VALUE})(?P=quote)(?=[\s;&|)\\]|\Z)"
)
_HERE = re.compile(r"<<-?[ \t]*[\"']?(\w+)")


def _shell_literals(text: str) -> Iterator[_Literal]:
    """`NAME=3`, `--flag=3`, `--flag 3`, outside of comments and here-documents."""
    at, here = 0, ""
    for line in text.splitlines(keepends=True):
        code = re.split(r"(?:^|(?<=\s))#", line, maxsplit=1)[0]
        if here:
            here = "" if line.strip() == here else here
        else:
            for match in _SHELL_LITERAL.finditer(code):
                name = match["name"] or match["flag"]
                start, end = (at + place for place in match.span("value"))
                quote = len(match["quote"])
                plain = match["name"] is None or name.isupper()
                yield _Literal(name, _shell_value(match["value"]), start - quote, end + quote, plain=plain)
            found = _HERE.search(code)
            here = found[1] if found else ""
        at += len(line)


def _shell_value(written: str) -> Value:
    if written in _BOOLS:
        return _BOOLS[written]
    if not re.fullmatch(_NUMBER, written):
        return written
    return float(written) if "." in written else int(written)


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
