"""Rules for finding a text in a text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.facts import (
    changed,
    is_pure,
    loads,
    loop_variable_is_read,
    names,
    own_jumps,
    read_elsewhere,
    stored,
    walk,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, mentions
from optiloop.proposers.rewrite.rule import Edit, Rule, Site

_COMPARE_EACH = tuple(
    Pattern(f"?same = True\nfor {head}:\n    if {place} != {item}:\n        ?same = False{leave}")
    for head, item in (
        ("?i in range(len($part))", "$part[?i]"),
        ("?i in range(?length)", "$part[?i]"),
        ("?i, ?c in enumerate($part)", "?c"),
    )
    for place in ("$text[$start + ?i]", "$text[?i + $start]")
    for leave in ("\n        break", "")
)
_COUNT_EQUAL = tuple(
    Pattern(f"?i = 0\n{scan}\n    ?i += 1\nif ?i == {stop}:\n    $$body")
    for stop in ("len($part)", "?length")
    for place in ("$text[$start + ?i]", "$text[?i + $start]")
    for scan in (
        f"while ?i < {stop} and {place} == $part[?i]:",
        f"while ?i < {stop} and $start + ?i < $end and {place} == $part[?i]:",
        f"while ?i < {stop}:\n    if {place} != $part[?i]:\n        break",
    )
)
_IF_FLAG = (Pattern("if ?same:\n    $$body"), Pattern("if ?same is True:\n    $$body"))
_POSITIONS = tuple(
    Pattern(f"for ?s in range($stop):\n    if {test}:\n        $$body")
    for test in (
        "$text.startswith($part, ?s)",
        "$text[?s:?s + len($part)] == $part",
        "$text[?s:?s + ?m] == $part",
    )
)


def compare_characters(code: Code) -> Iterator[Site]:
    """Compare a part of a text with str.startswith, not character by character with a flag.

    O(m) interpreted steps -> one comparison in C.
    """
    what = "compared character by character -> str.startswith"
    for pattern in _COMPARE_EACH:
        for match in code.find(pattern):
            if _lengths_agree(code, match) and not loop_variable_is_read(code, match):
                yield code.site(match.first, what, [_as_startswith(code, match)])
    for pattern in _COUNT_EQUAL:
        for match in code.find(pattern):
            if _lengths_agree(code, match) and not mentions(match.body("body"), match.name("i")):
                values = {name: match.found[name] for name in ("text", "part", "start", "body")}
                new = code.fill("if $text.startswith($part, $start):\n    $$body", values)
                yield code.site(match.first, what, [code.replace(match.statements, new)])


def _lengths_agree(code: Code, match: Match) -> bool:
    """A name for the length must have been given to it."""
    if "length" not in match.found:
        return True
    return _is_length(code, match.expr("length"), match.expr("part"))


def _is_length(code: Code, node: ast.expr, of: ast.expr) -> bool:
    """Whether an expression is `len(of)`, or a variable that is bound to it once."""
    wanted = f"len({ast.unparse(of)})"
    if ast.unparse(node) == wanted:
        return True
    if not isinstance(node, ast.Name):
        return False
    scope = code.scope(node)
    values = [n.value for n in walk(scope) if isinstance(n, ast.Assign) and stored(n) == {node.id}]
    bindings = [
        n for n in walk(scope) if isinstance(n, ast.Name) and n.id == node.id and isinstance(n.ctx, ast.Store)
    ]
    return len(bindings) == 1 and len(values) == 1 and ast.unparse(values[0]) == wanted


def _as_startswith(code: Code, match: Match) -> Edit:
    """With the test of the flag where that follows and nothing else reads it."""
    block = code.block(match.first)
    at = next(index for index, node in enumerate(block) if node is match.first)
    flag = match.name("same")
    following = block[at + 2] if at + 2 < len(block) else None
    values = {name: match.found[name] for name in ("text", "part", "start", "same")}
    if isinstance(following, ast.If) and len(loads(code.scope(match.first), flag)) == 1:
        hit = next(
            (h for pattern in _IF_FLAG if (h := pattern.match(following)) and h.name("same") == flag), None
        )
        if hit is not None:
            values["body"] = hit.body("body")
            new = code.fill("if $text.startswith($part, $start):\n    $$body", values)
            return code.replace([*[n for n in match.nodes if isinstance(n, ast.stmt)], following], new)
    return code.replace(match.statements, code.fill("?same = $text.startswith($part, $start)", values))


def find_positions(code: Code) -> Iterator[Site]:
    """Let str.find jump from match to match, not ask at every position.

    O(n) interpreted steps -> O(matches), the rest in C. Overlapping matches stay, an empty part too.
    Source: Crochemore and Perrin 1991, two-way search, as in CPython's fastsearch.
    """
    at_once = list(_question_at_every_position(code))
    yield from at_once
    # A comparison character by character hides the question: ask it first, then answer it, in one step.
    for asked in compare_characters(code):
        if not any(site.function == asked.function for site in at_once):
            found = _question_at_every_position(Code(asked.text))
            yield from (site for site in found if site.function == asked.function)


def _question_at_every_position(code: Code) -> Iterator[Site]:
    what = "a question at every position -> str.find from match to match"
    for pattern in _POSITIONS:
        for match in code.find(pattern):
            if _is_plain_search(code, match):
                # Up to len(text): an empty part is found at the end as well, where that loop does not look.
                to_end = _is_length(code, match.expr("stop"), match.expr("text"))
                found = "-1 < ?s < len($text)" if to_end else "?s != -1"
                new = code.fill(
                    f"?s = $text.find($part)\nwhile {found}:\n    $$body\n    ?s = $text.find($part, ?s + 1)",
                    {name: match.found[name] for name in ("s", "text", "part", "body")},
                )
                yield code.site(match.first, what, [code.replace(match.statements, new)])


def _is_plain_search(code: Code, match: Match) -> bool:
    loop = match.first
    body, text, part = match.body("body"), match.expr("text"), match.expr("part")
    if not isinstance(loop, ast.For) or any(isinstance(jump, ast.Continue) for jump in own_jumps(body)):
        return False
    if changed(body) & (names(text) | names(part) | {match.name("s")}) or not is_pure(code, text):
        return False
    if "m" in match.found and not _is_length(code, match.expr("m"), part):
        return False
    stop = match.expr("stop")
    if not _is_last_start(code, stop, text, part) and not _is_length(code, stop, text):
        return False
    kind = Kinds(code).of(text)
    return (kind is None or kind.is_text) and not read_elsewhere(code, loop, {match.name("s")})


def _is_last_start(code: Code, stop: ast.expr, text: ast.expr, part: ast.expr) -> bool:
    match stop:
        case ast.BinOp(
            left=ast.BinOp(left=n, op=ast.Sub(), right=m), op=ast.Add(), right=ast.Constant(value=1)
        ):
            return _is_length(code, n, text) and _is_length(code, m, part)
    return False


RULES = (
    Rule("find-positions", PYTHON, 28, find_positions),
    Rule("compare-characters", PYTHON, 2.01, compare_characters),
)
