"""Rules for going through a text character by character."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import PYTHON, Code, subtree
from optiloop.proposers.rewrite.facts import (
    IMPURE_NAMES,
    changed,
    initialisation,
    is_constant,
    is_name,
    is_pure,
    is_pure_function,
    loads,
    loop_variable_is_read,
    names,
    own_jumps,
    read_elsewhere,
    stored,
    walk,
    words,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, same
from optiloop.proposers.rewrite.rule import Edit, Rule, Site

_CHARACTER_METHODS = words("isalpha isdigit isalnum isspace isupper islower")

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
    return (node for node in code.of(ast.For) if not node.orelse)


def _walk_of(code: Code, loop: ast.For) -> _Walk | None:
    """`for c in text`, or `for i in range(len(text))` where `i` only serves to say `text[i]`."""
    kinds = Kinds(code)
    match loop.target, loop.iter:
        case ast.Name(id=index), ast.Call(
            func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len"), args=[text])]
        ):
            places = [node for node in walk(loop.body) if _is_part(node, text, index)]
            only_parts = len(places) == len(loads(loop.body, index)) > 0
            if not only_parts or not _is_text(kinds, text, loop, places[0]):
                return None
            character = code.fresh("character")
            edits = tuple(code.replace(place, character) for place in places if isinstance(place, ast.expr))
            return _Walk(loop, text, character, edits)
        case ast.Name(id=character) as target, text if _is_text(kinds, text, loop, target):
            return _Walk(loop, text, character)
    return None


def _is_part(node: ast.AST, text: ast.expr, index: str) -> bool:
    match node:
        case ast.Subscript(value=value, slice=ast.Name(id=at)):
            return at == index and same(value, text)
    return False


def _is_text(kinds: Kinds, text: ast.expr, loop: ast.For, character: ast.AST) -> bool:
    """Whether there is evidence of a text: its kind, or how its items are used."""
    kind = kinds.of(text)
    if kind is not None:
        return kind.is_text
    spellings = [character, *_names_given_to(character, loop)]
    return any(_is_used_as_character(kinds, node, used) for node in walk(loop.body) for used in spellings)


def _names_given_to(character: ast.AST, loop: ast.For) -> list[ast.Name]:
    """Variables that the loop binds to the character: `c = text[i]`."""
    assigns = [node for node in loop.body if isinstance(node, ast.Assign) and same(node.value, character)]
    return [target for node in assigns for target in node.targets if isinstance(target, ast.Name)]


def _is_used_as_character(kinds: Kinds, node: ast.AST, character: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="ord"), args=[used]):
            return same(used, character)
        case ast.Call(func=ast.Attribute(value=of, attr="find" | "index"), args=[used]):
            return same(used, character) and kinds.is_text(of)
        case ast.Compare(left=used, ops=[ast.In() | ast.NotIn()], comparators=[of]):
            return same(used, character) and kinds.is_text(of)
        case ast.Compare(left=used, ops=[ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=str(one))]):
            return same(used, character) and len(one) == 1
        case ast.Attribute(value=used, attr=method):
            return same(used, character) and method in _CHARACTER_METHODS
    return False


@dataclass(frozen=True)
class _Output:
    """What a loop adds to: a text by `+=`, or a list by append."""

    name: str
    is_list: bool


_ADDS_TEXT = Pattern("?out += $piece")
_APPENDS = Pattern("?out.append($piece)")


def _only_output(code: Code, loop: ast.For) -> _Output | None:
    """The one variable that the loop adds to without reading it."""
    outputs: set[_Output] = set()
    allowed: set[ast.AST] = set()
    for node in walk(loop.body):
        if not isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
            continue
        for pattern in (_ADDS_TEXT, _APPENDS):
            match = pattern.match(node)
            if match is not None:
                outputs.add(_Output(match.name("out"), pattern is _APPENDS))
                allowed |= set(subtree(node)) - set(subtree(match.expr("piece")))
    if len(outputs) != 1:
        return None
    output = outputs.pop()
    read = any(is_name(node, output.name) and node not in allowed for node in walk(loop.body))
    return output if not read and _is_joined_text(code, loop, output) else None


def _is_append(call: ast.Call, output: _Output) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id=name), attr="append"):
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
    if _is_append(call, output):
        return True
    if isinstance(call.func, ast.Name) and is_pure_function(code, call.func.id):
        return True
    return is_pure(code, call)


def _carried_over(body: Sequence[ast.stmt], temporaries: set[str]) -> bool:
    """Whether a variable may be read in a round before it is bound in it."""
    return _bound_after(body, frozenset(), temporaries) is None


def _bound_after(
    body: Sequence[ast.stmt], bound: frozenset[str], temporaries: set[str]
) -> frozenset[str] | None:
    """What is surely bound after the statements; None where one reads a temporary that may not be."""
    for statement in body:
        match statement:
            case ast.If(test=head) | ast.While(test=head) | ast.For(iter=head):
                after = (
                    None
                    if _reads(head) & temporaries - bound
                    else _bound_in_branches(statement, bound, temporaries)
                )
            case ast.AugAssign(target=target):
                after = None if (_reads(statement) | names(target)) & temporaries - bound else bound
            case _:
                after = None if _reads(statement) & temporaries - bound else bound | stored(statement)
        if after is None:
            return None
        bound = after
    return bound


def _bound_in_branches(
    statement: ast.If | ast.While | ast.For, bound: frozenset[str], temporaries: set[str]
) -> frozenset[str] | None:
    """A branch that ends in `continue` leads nowhere further; a loop may not run at all."""
    target = stored(statement.target) if isinstance(statement, ast.For) else set()
    then = _bound_after(statement.body, bound | target, temporaries)
    otherwise = _bound_after(statement.orelse, bound, temporaries)
    if then is None or otherwise is None:
        return None
    if not isinstance(statement, ast.If):
        return bound
    if isinstance(statement.body[-1], ast.Continue):
        return otherwise
    ends = bool(statement.orelse) and isinstance(statement.orelse[-1], ast.Continue)
    return then if ends else then & otherwise


def _reads(node: ast.AST) -> set[str]:
    """The variables a node reads, without those its comprehensions bind."""
    parts = list(subtree(node))
    own = {name for part in parts if isinstance(part, ast.comprehension) for name in stored(part.target)}
    read = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    return read - own


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
            if _starts_empty(code, match) and not loop_variable_is_read(code, match):
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
    return code.site(match.first, what, [code.replace(match.statements, new)])


RULES = (
    Rule("split-characters", PYTHON, 1.46, split_by_characters),
    Rule("map-characters", PYTHON, 17, map_characters),
)
