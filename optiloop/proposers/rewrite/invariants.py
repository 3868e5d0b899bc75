"""Rules for work that a loop repeats with the same outcome, or could carry over from round to round."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code, subtree
from optiloop.proposers.rewrite.facts import (
    growth,
    is_empty_list,
    is_invariant,
    is_pure,
    is_pure_function,
    loop_parts,
    names,
    place_before,
    range_around,
    read_elsewhere,
    words,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, same
from optiloop.proposers.rewrite.rule import Edit, Rule, Site

_COSTLY_FUNCTIONS = words("sorted max min sum set list tuple frozenset dict any all str reversed")
_COSTLY_METHODS = words(
    "lower upper split splitlines strip replace join count casefold title swapcase translate "
    "most_common copy index find"
)
_FRESH = words("list dict set copy")


def hoist_invariant(code: Code) -> Iterator[Site]:
    """Compute in front of a loop what is the same in each of its rounds.

    O(rounds * n) -> O(n). Source: loop-invariant code motion (Allen and Cocke 1971; Aho et al. 9.5).
    """
    kinds = Kinds(code)
    done: list[ast.expr] = []
    for node in code.of(ast.Call):
        if not _is_costly(code, node) or any(node is other for other in done):
            continue
        place = place_before(code, node, node)
        if place is None or _is_changed_later(code, node, kinds) or _is_part_of_larger(code, node):
            continue
        alike = [
            other
            for other in code.of(ast.Call)
            if same(other, node) and place_before(code, other, other) is place
        ]
        done += alike
        name = code.fresh(_name_for(node))
        edits = [code.before(place, f"{name} = {ast.unparse(node)}")]
        edits += [code.replace(other, name) for other in alike]
        yield code.site(node, f"{ast.unparse(node)} is the same in each round -> computed once", edits)


def _is_costly(code: Code, call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="len"):
            return bool(call.args) and isinstance(call.args[0], ast.Call)
        case ast.Name(id=name):
            return bool(call.args) and (name in _COSTLY_FUNCTIONS or is_pure_function(code, name))
        case ast.Attribute(attr=method):
            return method in _COSTLY_METHODS
    return False


def _is_part_of_larger(code: Code, node: ast.Call) -> bool:
    """Whether the call around is as invariant; then that one is hoisted."""
    for outer in code.around(node):
        if isinstance(outer, ast.stmt):
            return False
        if isinstance(outer, ast.Call) and _is_costly(code, outer):
            return place_before(code, outer, outer) is not None
    return False


def _is_changed_later(code: Code, node: ast.Call, kinds: Kinds) -> bool:
    """Whether each round needs a value of its own, because it keeps or changes it."""
    kind = kinds.of(node)
    if kind is not None and (kind.is_text or kind.name in ("int", "float", "bool", "tuple")):
        return False
    match code.parent(node):
        case ast.For() | ast.comprehension() | ast.Compare():
            return False
        case ast.Subscript(ctx=ast.Load()):
            return False
        case ast.Call(func=ast.Name(id=name)):
            return name not in ("len", "max", "min", "sum", "sorted", "enumerate", "any", "all", "set", "zip")
    return not (
        isinstance(node.func, ast.Name) and node.func.id in ("max", "min", "sum", "any", "all", "len")
    )


def _name_for(call: ast.Call) -> str:
    """`text.lower()` is text_lower, `sorted(words)` words_sorted."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=receiver), attr=method):
            return f"{receiver}_{method}"
        case ast.Name(id=function):
            first = call.args[0]
            return f"{first.id}_{function}" if isinstance(first, ast.Name) else f"{function}_result"
    return "invariant"


# --- sums ---------------------------------------------------------------------------------------------

_SUM_OF_HEAD = (Pattern("sum($xs[:$stop])"), Pattern("sum($xs[0:$stop])"))
_SUM_OF_PART = Pattern("sum($xs[$start:$stop])")


def prefix_sums(code: Code) -> Iterator[Site]:
    """Add a list up once, and take sums of its parts as differences.

    O(n) -> O(1) per sum. Source: prefix sums (Blelloch 1990), itertools.accumulate.
    """
    done: list[ast.expr] = []
    for pattern in (*_SUM_OF_HEAD, _SUM_OF_PART):
        for node, match in code.find_expressions(pattern):
            sequence = match.expr("xs")
            place = place_before(code, node, sequence)
            if place is None or not isinstance(sequence, ast.Name) or any(node is other for other in done):
                continue
            if isinstance(match.found.get("start"), ast.UnaryOp) or not is_pure(code, match.expr("stop")):
                continue
            done.append(node)
            name = code.fresh(f"{sequence.id}_sums")
            stop = _bounded(code, match.expr("stop"), sequence)
            start = (
                f" - {name}[{_bounded(code, match.expr('start'), sequence)}]"
                if "start" in match.found
                else ""
            )
            answer = f"({name}[{stop}]{start})" if start else f"{name}[{stop}]"
            edits = [
                code.before(place, f"{name} = [0, *itertools.accumulate({sequence.id})]"),
                code.replace(node, answer),
            ]
            what = f"sums of parts of {sequence.id} -> differences of running sums, O(n) -> O(1) each"
            yield code.site(node, what, edits, ["itertools"])


def _bounded(code: Code, index: ast.expr, sequence: ast.Name) -> str:
    """A slice may end behind the list; an index may not."""
    text = ast.unparse(index)
    for outer in code.around(index):
        if isinstance(outer, ast.For) and same(outer.target, index) and sequence.id in names(outer.iter):
            return text
    return f"min({text}, len({sequence.id}))"


_SUM_OF_RANGE = (
    Pattern("sum([$item for ?j in range(?stop)])"),
    Pattern("sum(($item for ?j in range(?stop)))"),
)
_ADD_OVER_RANGE = Pattern("for ?j in range(?stop):\n    ?total += $item")


def prefix_loop(code: Code) -> Iterator[Site]:
    """Add up once what an inner loop adds up anew, from the start to where the outer loop stands.

    O(n^2) -> O(n). Source: prefix sums (Blelloch 1990), itertools.accumulate.
    """
    what = "added up anew from the start in each round -> running sums made once"
    for match in code.find(_ADD_OVER_RANGE):
        name = code.fresh("sums")
        start = _sums_before(code, match.first, match, name)
        if start is not None and not read_elsewhere(code, match.first, {match.name("j")}):
            new = code.fill(f"?total += {name}[?stop]", match.found)
            yield code.site(match.first, what, [start, code.replace([match.first], new)], ["itertools"])
    for pattern in _SUM_OF_RANGE:
        for node, match in code.find_expressions(pattern):
            name = code.fresh("sums")
            start = _sums_before(code, node, match, name)
            if start is not None:
                answer = code.replace(node, code.fill(f"{name}[?stop]", match.found))
                yield code.site(node, what, [start, answer], ["itertools"])


def _sums_before(code: Code, node: ast.AST, match: Match, name: str) -> Edit | None:
    """The running sums of all that the outer loop may ask for, in front of it."""
    item, stop = match.expr("item"), match.expr("stop")
    whole = range_around(code, node, stop) if isinstance(stop, ast.Name) else None
    others = [part for part in subtree(item) if isinstance(part, ast.Name) and part.id != match.name("j")]
    if whole is None or not is_pure(code, item) or Kinds(code).is_text(item):
        return None
    loop = next(
        outer for outer in code.loops(node) if isinstance(outer, ast.For) and same(outer.target, stop)
    )
    if not all(is_invariant(code, part, loop_parts(loop)) for part in [whole, *others]):
        return None
    build = f"{name} = [0, *itertools.accumulate([$item for ?j in $whole])]"
    return code.before(loop, code.fill(build, {**match.found, "whole": whole}))


def running_sum(code: Code) -> Iterator[Site]:
    """Keep the sum of a growing list beside it, not add it up again each time.

    O(n) -> O(1) per sum. Source: strength reduction (Cocke and Kennedy 1977).
    """
    for node in code.of(ast.Call):
        match node:
            case ast.Call(func=ast.Name(id="sum"), args=[ast.Name(id=name)], keywords=[]) if code.loops(node):
                grown = growth(code, code.scope(node), name)
                if grown is None or not grown.appends or not is_empty_list(grown.start.value):
                    continue
                if not any(
                    loop in code.loops(node) for append, _ in grown.appends for loop in code.loops(append)
                ):
                    continue
                total = code.fresh(f"{name}_total")
                adds = [
                    code.after(append, f"{total} += {ast.unparse(item)}") for append, item in grown.appends
                ]
                start = code.after(grown.start, f"{total} = 0")
                what = f"sum of the growing {name} added up each time -> kept beside it"
                yield code.site(node, what, [start, *adds, code.replace(node, total)])


# --- regular expressions ------------------------------------------------------------------------------

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _,;:!@%&=<>'\"/~`-#")
_REGEX_FUNCTIONS = words("match search fullmatch sub subn split findall finditer")


def hoist_regex(code: Code) -> Iterator[Site]:
    """Compile a constant regular expression once for the module, not look it up at each call.

    Saves the lookup in re's cache, or the compilation. Source: the re module's documentation, re.compile.
    """
    for node in code.of(ast.Call):
        if isinstance(code.scope(node), ast.Module):
            continue
        edits = _compiled(code, node)
        if edits:
            yield code.site(node, "regular expression compiled at each call -> once for the module", edits)


def _compiled(code: Code, call: ast.Call) -> list[Edit]:
    function = next((node for node in reversed(list(code.around(call))) if isinstance(node, ast.stmt)), None)
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="re"), attr="compile"),
            args=[ast.Constant() as pattern, *flags],
        ):
            replaced = "{name}"
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="re"), attr=method), args=[ast.Constant() as pattern, *rest]
        ) if method in _REGEX_FUNCTIONS and rest and not call.keywords and len(rest) <= 2:
            replaced, flags = f"{{name}}.{method}({', '.join(code.segment(part) for part in rest)})", []
            if len(rest) > (2 if method == "sub" else 1):
                return []
        case _:
            return []
    if function is None or not all(is_invariant(code, flag, []) for flag in flags) or call.keywords:
        return []
    name = code.fresh("PATTERN")
    arguments = ", ".join(code.segment(part) for part in [pattern, *flags])
    start = code.before(_first_line(function), f"{name} = re.compile({arguments})\n\n")
    return [start, code.replace(call, replaced.format(name=name))]


def _first_line(function: ast.stmt) -> ast.stmt:
    """A function starts with its decorators."""
    decorators = getattr(function, "decorator_list", [])
    return (
        ast.Expr(value=decorators[0], lineno=decorators[0].lineno, col_offset=0) if decorators else function
    )


_PLAIN_FORMS = (
    (Pattern("re.sub($p, $new, $text)"), "$text.replace($p, $new)"),
    (Pattern("re.split($p, $text)"), "$text.split($p)"),
    (Pattern("re.search($p, $text) is not None"), "$p in $text"),
    (Pattern("re.search($p, $text) is None"), "$p not in $text"),
    (Pattern("bool(re.search($p, $text))"), "$p in $text"),
    (Pattern("re.match($p, $text) is not None"), "$text.startswith($p)"),
    (Pattern("bool(re.match($p, $text))"), "$text.startswith($p)"),
    (Pattern("len(re.findall($p, $text))"), "$text.count($p)"),
)


def plain_regex(code: Code) -> Iterator[Site]:
    """Use a method of str where a regular expression has no special character.

    A constant factor of 3 to 30. Source: refurb FURB, ruff RUF055.
    """
    for pattern, template in _PLAIN_FORMS:
        for node, match in code.find_expressions(pattern):
            literal, new = match.expr("p"), match.found.get("new")
            plain = isinstance(literal, ast.Constant) and isinstance(literal.value, str) and literal.value
            if not plain or set(plain) - _PLAIN:
                continue
            if new is not None and not (isinstance(new, ast.Constant) and "\\" not in str(new.value)):
                continue
            text = code.fill(template, match.found)
            yield code.site(
                node,
                "regular expression without special characters -> str method",
                [code.replace(node, text)],
            )


RULES = (
    Rule("prefix-loop", PYTHON, 130, prefix_loop),
    Rule("prefix-sums", PYTHON, 39, prefix_sums),
    Rule("running-sum", PYTHON, 19, running_sum),
    Rule("hoist-invariant", PYTHON, 7.07, hoist_invariant),
    Rule("plain-regex", PYTHON, 1.19, plain_regex),
    Rule("hoist-regex", PYTHON, 2.12, hoist_regex),
)
