"""Rules for going through a text character by character."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import Code, Edit, Site
from optiloop.proposers.rewrite.facts import (
    IMPURE_NAMES,
    changed,
    initialisation,
    is_constant,
    is_pure,
    is_pure_function,
    loads,
    names,
    own_jumps,
    read_elsewhere,
    stored,
    walk,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, Value, mentions, same

# --- a map of characters ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Walk:
    """A loop over the characters of a text: the loop, the text, the character's name, edits of the body."""

    loop: ast.For
    text: ast.expr
    character: str
    body_edits: tuple[Edit, ...] = ()


def map_characters(code: Code) -> Iterator[Site]:
    """Work a character's replacement out once per distinct character, then use str.translate.

    For loops that append to a text, or to a list that is joined, what depends on one character alone.
    O(n) interpreted steps -> O(alphabet) and one C loop. Source: str.translate.
    """
    for loop in _for_loops(code):
        walk_ = _walk_of(code, loop)
        output = _only_output(code, loop) if walk_ else None
        if walk_ is not None and output is not None and _depends_on_character_alone(code, walk_, output):
            edits = _translated(code, walk_, output)
            what = "one character after the other -> each distinct character once, then str.translate"
            yield code.site(loop, what, edits)


def _for_loops(code: Code) -> Iterator[ast.For]:
    return (node for node in code.nodes if isinstance(node, ast.For) and not node.orelse)


def _walk_of(code: Code, loop: ast.For) -> _Walk | None:
    """`for c in text`, or `for i in range(len(text))` where `i` only serves to say `text[i]`."""
    kinds = Kinds(code)
    match loop.target, loop.iter:
        case ast.Name(id=index), ast.Call(
            func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len"), args=[text])]
        ):
            places = [node for node in walk(loop.body) if _is_part(node, text, index)]
            if (
                len(places) != len(loads(loop.body, index))
                or not places
                or not _is_text(kinds, text, loop, index)
            ):
                return None
            character = code.fresh("character")
            edits = tuple(code.replace(place, character) for place in places if isinstance(place, ast.expr))
            return _Walk(loop, text, character, edits)
        case ast.Name(id=character), text if _is_text(kinds, text, loop, character):
            return _Walk(loop, text, character)
    return None


def _is_part(node: ast.AST, text: ast.expr, index: str) -> bool:
    match node:
        case ast.Subscript(value=value, slice=ast.Name(id=at)):
            return at == index and same(value, text)
    return False


def _is_text(kinds: Kinds, text: ast.expr, loop: ast.For, character: str) -> bool:
    """Whether there is evidence of a text: its kind, or how its items are used."""
    kind = kinds.of(text)
    if kind is not None:
        return kind.is_text
    for node in walk(loop.body):
        match node:
            case ast.Call(func=ast.Name(id="ord"), args=[ast.Name(id=used)]) if used == character:
                return True
            case ast.Compare(left=ast.Name(id=used), ops=[ast.In() | ast.NotIn()], comparators=[of]):
                if used == character and kinds.is_text(of):
                    return True
            case ast.Attribute(value=ast.Name(id=used), attr="isalpha" | "isdigit" | "isalnum" | "isspace"):
                if used == character:
                    return True
    return False


@dataclass(frozen=True)
class _Output:
    """What a loop adds to: a text by `+=`, or a list by append."""

    name: str
    is_list: bool


def _only_output(code: Code, loop: ast.For) -> _Output | None:
    """The one variable that the loop adds to without reading it."""
    texts = {
        node.target.id
        for node in walk(loop.body)
        if isinstance(node, ast.AugAssign)
        and isinstance(node.op, ast.Add)
        and isinstance(node.target, ast.Name)
    }
    lists = {
        node.func.value.id
        for node in walk(loop.body)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr == "append"
        and isinstance(code.parent(node), ast.Expr)
    }
    if len(texts | lists) != 1 or texts & lists:
        return None
    output = _Output((texts | lists).pop(), bool(lists))
    additions = len(
        [node for node in walk(loop.body) if isinstance(node, ast.Name) and node.id == output.name]
    )
    expected = len([n for n in walk(loop.body) if _is_addition(n, output)])
    return output if additions == expected and _is_joined_text(code, loop, output) else None


def _is_addition(node: ast.AST, output: _Output) -> bool:
    match node:
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add()):
            return name == output.name and not output.is_list
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append")):
            return name == output.name and output.is_list
    return False


def _is_joined_text(code: Code, loop: ast.For, output: _Output) -> bool:
    """A text starts as one; a list of pieces is read by join only."""
    scope = code.scope(loop)
    if not output.is_list:
        return any(
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == output.name
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for node in walk(scope)
        )
    for use in loads(scope, output.name):
        match code.parent(use):
            case ast.Attribute(attr="append"):
                continue
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=""), attr="join")):
                continue
        return False
    return True


def _depends_on_character_alone(code: Code, walk_: _Walk, output: _Output) -> bool:
    """Whether one round is told by its character: it carries nothing over and changes nothing else."""
    body = walk_.loop.body
    jumps = own_jumps(body)
    if any(isinstance(jump, ast.Break) for jump in jumps):
        return False
    leaving = ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.Raise | ast.Global | ast.Nonlocal
    if any(isinstance(node, leaving) for node in walk(body)) or names(body) & IMPURE_NAMES:
        return False
    temporaries = stored(body) - {output.name}
    if changed(body) - temporaries - {output.name} or read_elsewhere(code, walk_.loop, temporaries):
        return False
    if not all(_is_harmless_call(code, node, output) for node in walk(body) if isinstance(node, ast.Call)):
        return False
    return not _carried_over(body, temporaries)


def _is_harmless_call(code: Code, call: ast.Call, output: _Output) -> bool:
    if _is_addition(call, output):
        return True
    if isinstance(call.func, ast.Name) and is_pure_function(code, call.func.id):
        return True
    return is_pure(code, call)


def _carried_over(body: Sequence[ast.stmt], temporaries: set[str]) -> bool:
    """Whether a variable may be read in a round before it is bound in it."""
    bound: set[str] = set()
    for statement in body:
        reads = {
            node.id
            for node in walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        simple = isinstance(statement, ast.Assign)
        if (reads - (bound if simple else bound | _bound_first(statement))) & temporaries:
            return True
        bound |= stored(statement) if simple else _bound_first(statement)
    return False


def _bound_first(statement: ast.stmt) -> set[str]:
    """Variables that every branch of an `if` binds."""
    if not isinstance(statement, ast.If) or not statement.orelse:
        return set()
    then = {name for part in statement.body if isinstance(part, ast.Assign) for name in stored(part)}
    tail = [part for part in statement.orelse if isinstance(part, ast.Assign)]
    otherwise = {name for part in tail for name in stored(part)}
    if len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        otherwise = _bound_first(statement.orelse[0])
    return then & otherwise


def _translated(code: Code, walk_: _Walk, output: _Output) -> list[Edit]:
    """The body becomes a function of one character; its `continue` becomes that function's return."""
    loop, function = walk_.loop, code.fresh("replacement")
    answer = f'"".join({output.name})' if output.is_list else output.name
    jumps = [code.replace([jump], f"return {answer}") for jump in own_jumps(loop.body)]
    body = code.body_text(loop.body, [*walk_.body_edits, *jumps])
    text = ast.unparse(walk_.text)
    start = "[]" if output.is_list else '""'
    table = f"{{ord({walk_.character}): {function}({walk_.character}) for {walk_.character} in set({text})}}"
    translated = f"{text}.translate({table})"
    lines = [
        f"def {function}({walk_.character}):",
        f"    {output.name} = {start}",
        *("    " + line if line else "" for line in body.splitlines()),
        f"    return {answer}",
        "",
        f"{output.name}.append({translated})" if output.is_list else f"{output.name} += {translated}",
    ]
    return [code.replace([loop], "\n".join(lines))]


# --- backwards ----------------------------------------------------------------------------------------

_PREPEND = Pattern('?out = ""\nfor ?c in $text:\n    ?out = ?c + ?out')
_APPEND_BACKWARDS = (
    Pattern('?out = ""\nfor ?i in range(len($text) - 1, -1, -1):\n    ?out += $text[?i]'),
    Pattern('?out = ""\nfor ?c in reversed($text):\n    ?out += ?c'),
    Pattern('?out = ""\nfor ?c in $text[::-1]:\n    ?out += ?c'),
    Pattern('?out = ""\n?i = len($text) - 1\nwhile ?i >= 0:\n    ?out += $text[?i]\n    ?i -= 1'),
    Pattern('?out = ""\nfor ?i in range(len($text)):\n    ?out += $text[len($text) - 1 - ?i]'),
    Pattern('?out = ""\nfor ?i in range(len($text)):\n    ?out = $text[?i] + ?out'),
    Pattern('?out = ""\nfor ?i in range(1, len($text) + 1):\n    ?out += $text[-?i]'),
)
_MIRROR_LENGTHS = ("len(?w) - 1 - ?i", "len(?w) - ?i - 1", "-1 - ?i", "-?i - 1", "-(?i + 1)", "~?i")
_MIRRORED = tuple(
    Pattern(f"for ?i in range({stop}):\n    if ?w[?i] != ?w[{mirror}]:\n        $$body")
    for mirror in _MIRROR_LENGTHS
    for stop in ("len(?w) // 2", "len(?w)", "int(len(?w) / 2)", "len(?w) // 2 + 1")
)
_TWO_ENDS = Pattern(
    "?i = 0\n?j = len(?w) - 1\nwhile ?i < ?j:\n"
    "    if ?w[?i] != ?w[?j]:\n        $$body\n    ?i += 1\n    ?j -= 1"
)


def reverse_by_loop(code: Code) -> Iterator[Site]:
    """Reverse a text by slicing it, not by putting one character after the other in front.

    O(n^2) copying -> O(n) in C. Source: extended slices (PEP 3 and Python 2.3).
    """
    kinds = Kinds(code)
    for pattern in (_PREPEND, *_APPEND_BACKWARDS):
        for match in code.find(pattern):
            if not is_pure(code, match.expr("text")) or _loop_variable_is_read(code, match):
                continue
            text = match.expr("text")
            kind = kinds.of(text)
            reverse = '?out = "".join(reversed($text))' if kind and not kind.is_text else "?out = $text[::-1]"
            new = code.fill(reverse, {"out": match.expr("out"), "text": text})
            what = "reversed character by character -> slice, O(n^2) -> O(n)"
            yield code.site(match.first, what, [_replace_all(code, match, new)])


def _replace_all(code: Code, match: Match, text: str) -> Edit:
    return code.replace([node for node in match.nodes if isinstance(node, ast.stmt)], text)


def _loop_variable_is_read(code: Code, match: Match) -> bool:
    variables = {match.name(name) for name in ("c", "i", "j") if name in match.found}
    loop = next(node for node in match.nodes if isinstance(node, ast.For | ast.While))
    return read_elsewhere(code, loop, variables - _bound_by(match, variables))


def _bound_by(match: Match, variables: set[str]) -> set[str]:
    """The variables that the match itself starts are of no use to anyone else."""
    heads = [node for node in match.nodes if isinstance(node, ast.Assign)]
    return variables & stored(heads)


def mirror_by_loop(code: Code) -> Iterator[Site]:
    """Compare a text with its reverse, not character by character with its mirror image.

    O(n) interpreted steps -> one comparison in C.
    """
    for pattern in (*_MIRRORED, _TWO_ENDS):
        for match in code.find(pattern):
            body = match.body("body")
            at_once = isinstance(body[-1], ast.Break | ast.Return) if body else False
            sets_flag = len(body) == 1 and isinstance(body[0], ast.Assign)
            if (
                not (at_once or sets_flag)
                or names(body) & {match.name("i")}
                or _loop_variable_is_read(code, match)
            ):
                continue
            then = body[:-1] if isinstance(body[-1], ast.Break) else body
            values: dict[str, Value | str] = {"w": match.expr("w"), "then": then}
            new = code.fill("if ?w != ?w[::-1]:\n    $$then", values)
            what = "compared with its mirror image by a loop -> with its reverse"
            yield code.site(match.first, what, [_replace_all(code, match, new)])


# --- a text in a text ---------------------------------------------------------------------------------

_COMPARE_EACH = tuple(
    Pattern(
        f"?same = True\nfor ?i in range({stop}):\n    if {place} != $part[?i]:\n        ?same = False{leave}"
    )
    for stop in ("len($part)", "?length")
    for place in ("$text[$start + ?i]", "$text[?i + $start]")
    for leave in ("\n        break", "")
)
_COUNT_EQUAL = tuple(
    Pattern(
        f"?i = 0\nwhile {tests}:\n    ?i += 1\nif ?i == {stop}:\n    $$body",
    )
    for stop in ("len($part)", "?length")
    for place in ("$text[$start + ?i]", "$text[?i + $start]")
    for tests in (
        f"?i < {stop} and {place} == $part[?i]",
        f"?i < {stop} and $start + ?i < $end and {place} == $part[?i]",
    )
)
_IF_FLAG = (Pattern("if ?same:\n    $$body"), Pattern("if ?same is True:\n    $$body"))
_POSITIONS = tuple(
    Pattern(f"for ?s in range({stop}):\n    if {test}:\n        $$body")
    for stop in ("len($text) - len($part) + 1", "$stop")
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
            if _lengths_agree(code, match) and not _loop_variable_is_read(code, match):
                yield code.site(match.first, what, [_as_startswith(code, match)])
    for pattern in _COUNT_EQUAL:
        for match in code.find(pattern):
            if _lengths_agree(code, match) and not mentions(match.body("body"), match.name("i")):
                values = {name: match.found[name] for name in ("text", "part", "start", "body")}
                new = code.fill("if $text.startswith($part, $start):\n    $$body", values)
                yield code.site(match.first, what, [_replace_all(code, match, new)])


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
    return _replace_all(code, match, code.fill("?same = $text.startswith($part, $start)", values))


def find_positions(code: Code) -> Iterator[Site]:
    """Let str.find jump from match to match, not ask at every position.

    O(n) interpreted steps -> O(matches), the rest in C. Overlapping matches stay, an empty part too.
    Source: Crochemore and Perrin 1991, two-way search, as in CPython's fastsearch.
    """
    for pattern in _POSITIONS:
        for match in code.find(pattern):
            if _is_plain_search(code, match):
                new = code.fill(
                    "?s = $text.find($part)\nwhile ?s != -1:\n    $$body\n    ?s = $text.find($part, ?s + 1)",
                    {name: match.found[name] for name in ("s", "text", "part", "body")},
                )
                what = "a question at every position -> str.find from match to match"
                yield code.site(match.first, what, [_replace_all(code, match, new)])


def _is_plain_search(code: Code, match: Match) -> bool:
    loop = match.first
    body, text, part = match.body("body"), match.expr("text"), match.expr("part")
    if not isinstance(loop, ast.For) or any(isinstance(jump, ast.Continue) for jump in own_jumps(body)):
        return False
    if changed(body) & (names(text) | names(part) | {match.name("s")}) or not is_pure(code, text):
        return False
    if "m" in match.found and not _is_length(code, match.expr("m"), part):
        return False
    if "stop" in match.found and not _is_last_start(code, match.expr("stop"), text, part):
        return False
    return Kinds(code).is_text(text) or (
        "startswith" in ast.unparse(loop) and not read_elsewhere(code, loop, {match.name("s")})
    )


def _is_last_start(code: Code, stop: ast.expr, text: ast.expr, part: ast.expr) -> bool:
    match stop:
        case ast.BinOp(
            left=ast.BinOp(left=n, op=ast.Sub(), right=m), op=ast.Add(), right=ast.Constant(value=1)
        ):
            return _is_length(code, n, text) and _is_length(code, m, part)
    return False


# --- words --------------------------------------------------------------------------------------------

_FLUSH = ('if ?word != "":\n    ?words.append(?word)\n', "if ?word:\n    ?words.append(?word)\n")
_LONGER = ("if len(?word) > 0:\n    ?words.append(?word)\n",)


def _splitting_patterns() -> Iterator[Pattern]:
    for flush in (*_FLUSH, *_LONGER):
        inner = flush.replace("\n", "\n            ").rstrip(" ")
        reset_inside = flush.rstrip("\n") + '\n    ?word = ""\n'
        inner_reset = reset_inside.replace("\n", "\n            ").rstrip(" ")
        head = "for ?c in $text:\n    if $belongs:\n        ?word += ?c\n    else:\n            "
        yield Pattern(head + inner + '            ?word = ""\n' + flush)
        yield Pattern(head + inner_reset + flush)
        swapped = reset_inside.replace("\n", "\n        ").rstrip(" ")
        yield Pattern(
            "for ?c in $text:\n    if $splits:\n        "
            + swapped
            + "    else:\n        ?word += ?c\n"
            + flush
        )
        joined = flush.replace("if ", "elif ").rstrip("\n").replace("\n", "\n    ")
        yield Pattern(
            "for ?c in $text:\n    if $belongs:\n        ?word += ?c\n    "
            + joined
            + '\n        ?word = ""\n'
            + flush
        )


_SPLITTING = tuple(_splitting_patterns())


def split_by_characters(code: Code) -> Iterator[Site]:
    """Split a text with str.split after making each distinct separator a space.

    O(n) interpreted steps -> O(alphabet) and two C loops. Source: str.translate, str.split.
    """
    for pattern in _SPLITTING:
        for match in code.find(pattern):
            test = match.expr("belongs" if "belongs" in match.found else "splits")
            outside = changed(match.nodes) & (names(test) - {match.name("c")})
            if outside or not is_pure(code, test) or not is_pure(code, match.expr("text")):
                continue
            if _starts_empty(code, match) and not _loop_variable_is_read(code, match):
                yield _split_site(code, match, test)


def _starts_empty(code: Code, match: Match) -> bool:
    start = initialisation(code, match.first, match.name("word"))
    return start is not None and is_constant(start.value, "")


def _split_site(code: Code, match: Match, test: ast.expr) -> Site:
    splits = "?c == ' ' or not $test" if "belongs" in match.found else "$test"
    source = match.expr("text")
    values = {
        "c": match.expr("c"),
        "words": match.expr("words"),
        "test": test,
        "text": source,
        "source": source if isinstance(source, ast.Name) else ast.Name(id=code.fresh("source")),
        "separators": ast.Name(id=code.fresh("separators")),
    }
    new = code.fill(
        ("" if isinstance(source, ast.Name) else "?source = $text\n")
        + "?separators = {ord(?c): ' ' for ?c in set(?source) if "
        + splits
        + "}\n?words += [piece for piece in ?source.translate(?separators).split(' ') if piece]",
        values,
    )
    what = "split by a loop over the characters -> str.translate and str.split"
    return code.site(match.first, what, [_replace_all(code, match, new)])
