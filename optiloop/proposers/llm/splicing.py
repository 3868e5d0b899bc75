"""New functions put into a Python text in the place of the old ones, with what they need. Pure."""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optiloop.definitions import Definition, definitions, first_line, parsed
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.proposers.llm.placing import AnswerError

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Block:
    """Python as a model wrote it, read without its indentation."""

    text: str
    tree: ast.Module

    def lines(self, node: ast.stmt) -> list[str]:
        """The lines of a statement, decorators included."""
        return self.text.split("\n")[first_line(node) - 1 : node.end_lineno]


def read(text: str) -> Block | SyntaxError:
    """Read Python that may be indented, in part or as a whole, or mix tabs; else say what is wrong."""
    for attempt in (
        text,
        _dedented(text),
        _first_line_indented(text),
        text.expandtabs(4),
        text.expandtabs(8),
    ):
        tree = parsed(attempt)
        if isinstance(tree, ast.Module):
            return Block(attempt, tree)
    found = parsed(text)
    return found if isinstance(found, SyntaxError) else SyntaxError("not Python")


def spliced(text: str, block: Block, asked: str | None) -> str:
    """Put the functions of a block into a text, by their names, with the new names that they use.

    `asked` is the dotted name of the function that was asked for: a bare function of its last name is it.
    What the block holds besides (an example, a test, a function that no one calls) is dropped. Raises
    AnswerError where it holds none of the text's functions, or where a name could mean two.
    """
    return _Splice(text, block, asked).result()


def names_in(text: str) -> set[str]:
    """The names that a Python module gives a meaning to: definitions, dotted within classes, and the rest."""
    tree = parsed(text)
    found = {it.name for it in definitions(text)}
    return found if isinstance(tree, SyntaxError) else found | {n for node in tree.body for n in binds(node)}


def imported(text: str) -> set[str]:
    """The names that a Python module imports."""
    tree = parsed(text)
    nodes = tree.body if isinstance(tree, ast.Module) else []
    return {name for node in nodes if isinstance(node, _Import) for name in binds(node)}


def other_changes(before: str, after: str, asked: str) -> list[str]:
    """The definitions of a text, but for one, that another text has otherwise or no longer, in order."""
    old, new = _forms(before), _forms(after)
    return [name for name, form in old.items() if name != asked and new.get(name) != form]


def binds(node: ast.stmt) -> set[str]:
    """The names that a statement of a module gives a meaning to."""
    if isinstance(node, _Function | ast.ClassDef):
        return {node.name}
    if isinstance(node, _Import):
        return {_bound(alias) for alias in node.names}
    found = {
        name for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt) for name in binds(inner)
    }
    found |= {n for part in getattr(node, "handlers", []) for inner in part.body for n in binds(inner)}
    stored = (it for it in _expressions(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store))
    return found | {it.id for it in stored}


# --- splicing ----------------------------------------------------------------------------------------


@dataclass
class _Splice:
    """One block on its way into one text."""

    text: str
    block: Block
    asked: str | None
    edits: list[tuple[int, int, list[str]]] = field(default_factory=list)
    """First line, last line (one less: put in front of it), and what stands there instead."""
    kept: list[ast.stmt] = field(default_factory=list)
    """The statements of the block that are taken."""
    at: list[Definition] = field(default_factory=list)
    """What is replaced."""

    def __post_init__(self) -> None:
        tree = parsed(self.text)
        if isinstance(tree, SyntaxError):
            raise AnswerError("the file is no Python itself: answer with the whole file")
        self.tree = tree
        self.lines = self.text.split("\n")
        self.there: dict[str, list[Definition]] = {}
        for it in definitions(self.text):
            self.there.setdefault(it.name, []).append(it)
        self.known = {name for node in tree.body for name in binds(node)}

    def result(self) -> str:
        fresh: list[ast.stmt] = []
        for node in self.block.tree.body:
            if isinstance(node, _Function):
                name = self._meant(node)
                if name is None:
                    fresh.append(node)
                else:
                    self._replace(name, node)
            elif isinstance(node, ast.ClassDef) and node.name in self.there:
                self._class(node)
            elif not isinstance(node, _Import):
                fresh.append(node)
        if not self.at:
            raise AnswerError(f"the answer does not hold {self.asked or 'any function of the file'}")
        self._add_fresh(fresh)
        self._add_imports()
        return self._made()

    def _meant(self, node: _Function) -> str | None:
        """The name in the text of a bare function; None of a new one."""
        is_method = _is_method(node)
        is_asked = self.asked is not None and self.asked.rpartition(".")[2] == node.name
        if is_asked and ("." not in (self.asked or "") or is_method or node.name not in self.there):
            return self.asked
        if node.name in self.there:
            return node.name
        methods = [name for name in self.there if name.endswith(f".{node.name}")] if is_method else []
        if len(methods) > 1:
            raise AnswerError(f"{node.name} could be {methods[0]} or {methods[1]}: put it into its class")
        return methods[0] if methods else None

    def _replace(self, name: str, node: ast.stmt) -> None:
        found = self.there.get(name, [])
        if len(found) != 1:
            raise AnswerError(f"{name} is {'defined twice' if found else 'not'} in the file")
        if any(it is found[0] for it in self.at):
            raise AnswerError(f"the answer holds {name} twice")
        self.at.append(found[0])
        self.kept.append(node)
        lead = _indent(self.lines[found[0].first - 1])
        self.edits.append((found[0].first, found[0].last, self._indented(node, lead)))

    def _indented(self, node: ast.stmt, lead: str) -> list[str]:
        """A statement's lines, with this white space in front of the first."""
        return _shifted(self.block, node, lead)

    def _class(self, node: ast.ClassDef) -> None:
        """A class that the text has: as a whole where it is whole, else its methods one by one."""
        old = self.there[node.name][0].node
        assert isinstance(old, ast.ClassDef)
        members = {name for inner in node.body for name in binds(inner)}
        if {name for inner in old.body for name in binds(inner)} <= members:
            self._replace(node.name, node)
            return
        same = {ast.dump(inner) for inner in old.body}
        for inner in node.body:
            name = f"{node.name}.{getattr(inner, 'name', '')}"
            if isinstance(inner, _Function) and name in self.there:
                self._replace(name, inner)
            elif isinstance(inner, _Function):
                self._add_method(self.there[node.name][0], inner)
            elif ast.dump(inner) not in same and not _is_text(inner):
                raise AnswerError(
                    f"holds a part of class {node.name} with other attributes: give the whole class"
                )

    def _add_method(self, owner: Definition, node: _Function) -> None:
        """A new method, at the end of its class."""
        first = next(inner for inner in getattr(owner.node, "body", []))
        lead = _indent(self.lines[first_line(first) - 1])
        self.kept.append(node)
        self.edits.append((owner.last + 1, owner.last, ["", *self._indented(node, lead)]))

    def _add_fresh(self, fresh: Sequence[ast.stmt]) -> None:
        """New functions, classes and constants that the taken ones use, in front of the first; as a method
        where they look like one and a method was asked for."""
        used = self._used(fresh)
        owner = self.there.get((self.asked or "").rpartition(".")[0], [None])[0]
        parts: list[str] = []
        for node in used:
            if isinstance(node, _Function) and owner is not None and _is_method(node):
                self._add_method(owner, node)
                continue
            again = binds(node) & self.known
            if again and not self._redefined(node):
                raise AnswerError(f"gives {min(again)} another meaning")
            if not again:
                self.kept.append(node)
                closer = parts and not isinstance(node, _Function | ast.ClassDef)
                parts += ([] if not parts else [""] if closer else ["", ""]) + self._indented(node, "")
        if parts:
            first = self._first_replaced()
            self.edits.append((first, first - 1, [*parts, "", ""]))

    def _used(self, fresh: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Those whose names the taken ones use, or each other."""
        names = {name for node in self.kept for name in _loads(node)}
        used: list[ast.stmt] = []
        while True:
            more = [
                node
                for node in fresh
                if node not in used and (binds(node) & names or self._is_member(node, names))
            ]
            if not more:
                return [node for node in fresh if node in used]
            used += more
            names |= {name for node in more for name in _loads(node)}

    def _is_member(self, node: ast.stmt, names: set[str]) -> bool:
        """Whether it is a new method that a taken one calls: self.name."""
        return isinstance(node, _Function) and _is_method(node) and f".{node.name}" in names

    def _redefined(self, node: ast.stmt) -> bool:
        """Whether a statement of the text says the same, or now says what this one does."""
        old = [it for it in self.tree.body if binds(it) & binds(node)]
        if (
            len(old) != 1
            or binds(old[0]) != binds(node)
            or isinstance(old[0], _Function | ast.ClassDef | _Import)
        ):
            return False
        if ast.dump(old[0]) != ast.dump(node):
            self.kept.append(node)
            self.edits.append(
                (first_line(old[0]), old[0].end_lineno or old[0].lineno, self._indented(node, ""))
            )
        return True

    def _first_replaced(self) -> int:
        """The line in front of which new definitions go: above the first replaced and its comments."""
        first = min(it.first for it in self.at)
        line = next(first_line(node) for node in self.tree.body if first <= (node.end_lineno or node.lineno))
        while line > 1 and self.lines[line - 2].startswith("#"):
            line -= 1
        return line

    def _add_imports(self) -> None:
        names = {name for node in self.kept for name in _loads(node)}
        there = {pair for node in self.tree.body if isinstance(node, _Import) for pair in _pairs(node)}
        roots = {name for name, origin in there if origin.partition(".")[0] == name}
        new: list[str] = []
        for node in self.block.tree.body:
            for alias in node.names if isinstance(node, _Import) else ():
                assert isinstance(node, _Import)
                name, pair = _bound(alias), _pair(node, alias)
                if pair in there or (name not in names and not _always(node, alias)):
                    continue
                is_root = pair[1].partition(".")[0] == name
                if name in self.known and not (is_root and name in roots):
                    raise AnswerError(f"imports {name}, which the file gives another meaning")
                line = _written(node, alias)
                if line not in new:
                    new.append(line)
        future = [line for line in new if line.startswith("from __future__")]
        rest = [line for line in new if line not in future]
        self._insert_imports(future, after=("__future__",))
        self._insert_imports(rest, after=None)

    def _insert_imports(self, new: Sequence[str], after: tuple[str, ...] | None) -> None:
        """Put import lines behind the imports at the top, or behind what must stay above them."""
        if not new:
            return
        head: ast.stmt | None = None
        for node in self.tree.body:
            is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            if not (_is_text(node) or is_future or (after is None and isinstance(node, _Import))):
                break
            head = node
        if head is None:
            line = 1
            while line <= len(self.lines) and self.lines[line - 1].startswith("#"):
                line += 1
            self.edits.append((line, line - 1, [*([""] if line > 1 else []), *new, *self._space(line)]))
            return
        line = (head.end_lineno or head.lineno) + 1
        self.edits.append((line, line - 1, [*([] if isinstance(head, _Import) else [""]), *new]))

    def _space(self, line: int) -> list[str]:
        return ["", ""] if line <= len(self.lines) and self.lines[line - 1].strip() else []

    def _made(self) -> str:
        """The text with all edits made, from the end on."""
        lines = list(self.lines)
        order = sorted(enumerate(self.edits), key=lambda it: (it[1][0], it[1][1], it[0]), reverse=True)
        for _, (first, last, new) in order:
            lines[first - 1 : last] = new
        return "\n".join(lines)


# --- small questions ---------------------------------------------------------------------------------


def _is_method(node: _Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args]
    marks = {it.id for it in node.decorator_list if isinstance(it, ast.Name)}
    return bool(arguments and arguments[0].arg in ("self", "cls")) or bool(
        marks & {"staticmethod", "classmethod"}
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """What a statement holds, without the statements in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | ast.excepthandler):
            yield from ast.walk(child)


def _loads(node: ast.AST) -> set[str]:
    """The names that are used in a node; attributes of self with a dot in front."""
    found: set[str] = set()
    for it in ast.walk(node):
        if isinstance(it, ast.Name):
            found.add(it.id)
        elif (
            isinstance(it, ast.Attribute)
            and isinstance(it.value, ast.Name)
            and it.value.id in ("self", "cls")
        ):
            found.add(f".{it.attr}")
        elif isinstance(it, ast.Constant) and isinstance(it.value, str) and it.value.isidentifier():
            found.add(it.value)
    return found


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _pair(node: _Import, alias: ast.alias) -> tuple[str, str]:
    """What an import binds, and to what."""
    if isinstance(node, ast.Import):
        return _bound(alias), alias.name
    return _bound(alias), f"{'.' * node.level}{node.module or ''}:{alias.name}"


def _pairs(node: _Import) -> Iterator[tuple[str, str]]:
    return (_pair(node, alias) for alias in node.names)


def _always(node: _Import, alias: ast.alias) -> bool:
    """Whether an import does something whoever uses it."""
    return alias.name == "*" or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _written(node: _Import, alias: ast.alias) -> str:
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import([alias]))
    return ast.unparse(ast.ImportFrom(node.module, [alias], node.level))


def _forms(text: str) -> Mapping[str, Counter[str]]:
    """What each definition of a module is, however it is written; of a class what its methods are not."""
    found: dict[str, Counter[str]] = {}
    for it in definitions(text):
        node: ast.stmt = it.node
        if isinstance(node, ast.ClassDef):
            rest = [inner for inner in node.body if not isinstance(inner, _Function | ast.ClassDef)]
            node = ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": rest or [ast.Pass()]})
        found.setdefault(it.name, Counter())[_form(ast.unparse(ast.fix_missing_locations(node)))] += 1
    tree = parsed(text)
    for node in tree.body if isinstance(tree, ast.Module) else ():
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for name in binds(node):
                found.setdefault(name, Counter())[_form(ast.unparse(node))] += 1
    return found


def _form(text: str) -> str:
    return result_fingerprint({"form.py": text})


# --- indentation -------------------------------------------------------------------------------------


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _first_line_indented(text: str) -> str:
    """The text where the first line alone has lost its indentation, without it."""
    head, newline, tail = text.lstrip("\n").partition("\n")
    lead = next((_indent(line) for line in tail.split("\n") if line.strip()), "")
    return _dedented(lead + head + newline + tail)


def _dedented(text: str) -> str:
    """The text without the white space that its first line begins with, but in strings of several lines."""
    lead = next((_indent(line) for line in text.split("\n") if line.strip()), "")
    tree = parsed(f"if 1:\n{text}") if lead else None
    if not isinstance(tree, ast.Module):
        return textwrap.dedent(text)
    inside = {line - 1 for line in _within_strings(tree)}
    return "\n".join(
        line if number in inside else line.removeprefix(lead) if line.startswith(lead) else line.lstrip(" \t")
        for number, line in enumerate(text.split("\n"), 1)
    )


def _shifted(block: Block, node: ast.stmt, lead: str) -> list[str]:
    """A statement's lines with its own white space in front replaced, but in strings of several lines."""
    inside, first = set(_within_strings(node)), first_line(node)
    lines = block.lines(node)
    own = _indent(lines[0])
    if own == lead:
        return lines
    body = getattr(node, "body", [node])[0]
    deep = _indent(block.text.split("\n")[body.lineno - 1])
    if not own and deep.startswith(lead) and deep != lead:  # its first line alone lost its indentation
        return [lead + lines[0], *lines[1:]]
    return [
        line
        if number in inside or not line.strip()
        else lead + (line.removeprefix(own) if line.startswith(own) else line.lstrip())
        for number, line in enumerate(lines, first)
    ]


def _within_strings(tree: ast.AST) -> Iterator[int]:
    """The lines that begin within a string of several lines, docstrings aside."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        said = isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        if (
            isinstance(node, ast.expr)
            and (said or isinstance(node, ast.JoinedStr))
            and id(node) not in docstrings
        ):
            yield from range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
