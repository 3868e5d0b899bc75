"""Rules for shell loops that start a process for each line, file or value, where none is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.rule import Edit, Rule, Site
from optiloop.proposers.rewrite.shell import SHELL, Compound, Pipeline, Script, Simple, Substitution, Word

Around = Sequence[Compound]

_SETS = frozenset({"read", "unset", "eval", ".", "getopts"})
_FIXED = frozenset({"hostname", "id", "nproc", "uname", "whoami"})
_PER_LINE = frozenset({"cut", "tr"})
_NUMBER = re.compile(r"0|-?[1-9]\d*")
_FIRST_LINE = ("head -n 1", "head -1", "head -n1")
_SEARCHED = re.compile(r"(\^?)((?!-)[\w ,:;=@%<>~&#-]+)(\$?)")


def _substituted(script: Script) -> Iterator[tuple[Substitution, Simple, Simple, Around]]:
    """Every substitution that runs one plain command, that command, the one around, the loops around."""
    for outer, around in script.simple():
        values = [value for _, value in outer.assignments]
        for word in (*values, *outer.words):
            for substitution in word.substitutions:
                pipelines = substitution.body.pipelines
                inner = pipelines[0].only if len(pipelines) == 1 else None
                if inner is not None and inner.is_plain:
                    yield substitution, inner, outer, around


# --- paths --------------------------------------------------------------------------------------------


def path_parts(script: Script) -> Iterator[Site]:
    """Take a path apart with parameter expansion, not with basename and dirname.

    One process per path -> none. Source: POSIX.1-2017, XCU 2.6.2, ${name##pattern}.
    Only of a variable that runs over paths which end in no slash; dirname where each of them has one.
    """
    for substitution, inner, _, around in _substituted(script):
        variable = inner.words[1].variable if len(inner.words) == 2 else None
        paths = _paths_of(script, variable, around) if variable else []
        if not paths or not all(re.search(r"[\w*?\].}]$", path) for path in paths):
            continue
        has_folder = all(re.match(r"[\w.$*{}\"/-]*[\w*.}\"]/", path) for path in paths)
        if inner.name == "basename":
            new = f"${{{variable}##*/}}"
        elif inner.name == "dirname" and has_folder:
            new = f"${{{variable}%/*}}"
        else:
            continue
        what = f"{inner.name} in a process of its own -> {new}"
        yield script.site(inner.start, what, [Edit(substitution.start, substitution.end, new)])


def _paths_of(script: Script, variable: str, around: Around) -> list[str]:
    """The words that the innermost loop runs the variable over; none where it is also set otherwise."""
    loops = [loop for loop in around if loop.kind == "for" and loop.variable == variable]
    if not loops or script.assigned(variable) or any(loop.kind == "function" for loop in around):
        return []
    paths = [word.text for word in loops[0].words]
    # One variable in front may be a folder; anything else that is expanded may end in a slash.
    fixed = all(not re.search(r"[$`@]", re.sub(r'^"?\$\w+"?/', "", path)) for path in paths)
    return paths if fixed else []


# --- numbers and texts --------------------------------------------------------------------------------


def expr_arithmetic(script: Script) -> Iterator[Site]:
    """Calculate with $((...)), not with expr.

    One process per calculation -> none. Source: POSIX.1-2017, XCU 2.6.4, arithmetic expansion.
    Only with variables that hold whole numbers without a leading zero as far as the script tells.
    """
    if not script.is_safe():
        return  # expr fails where the result is 0
    for substitution, inner, _, _ in _substituted(script):
        if inner.name != "expr" or len(inner.words) != 4:
            continue
        left, operator, right = (word.text for word in inner.words[1:])
        sign = {"+": "+", "-": "-", "\\*": "*", "'*'": "*", '"*"': "*", "/": "/", "%": "%"}.get(operator)
        one, other = _operand(script, left), _operand(script, right)
        if sign is not None and one is not None and other is not None:
            what = f"expr in a process of its own -> $(({one} {sign} {other}))"
            new = f"$(({one} {sign} {other}))"
            yield script.site(inner.start, what, [Edit(substitution.start, substitution.end, new)])


def _operand(script: Script, text: str) -> str | None:
    if _NUMBER.fullmatch(text):
        return text
    found = re.fullmatch(r'"?\$\{?([A-Za-z_]\w*)\}?"?', text)
    values = script.assigned(found[1]) if found else []
    if found is None or not values or not all(_is_number(script, value) for value in values):
        return None
    return found[1] if _is_only_assigned(script, found[1]) else None


def _is_number(script: Script, value: Word) -> bool:
    text = value.text.strip('"')
    if _NUMBER.fullmatch(text) or re.fullmatch(r"\$\(\([^)]*\)\)", text):
        return True
    return bool(re.fullmatch(r"\$\((expr [^()|;&]*|wc -[lcw] <[^()|;&]*|grep -c [^()|;&]*)\)", text))


def _is_only_assigned(script: Script, name: str) -> bool:
    """Whether the script sets the variable by `name=value` alone."""
    for pipeline, around in script.pipelines():
        if any(loop.variable == name for loop in around):
            return False
        for command in pipeline.commands:
            if not isinstance(command, Simple) or command.name not in _SETS:
                continue
            if command.name in ("eval", ".") or any(word.text == name for word in command.words):
                return False
    return True


def cut_field(script: Script) -> Iterator[Site]:
    """Cut the first or second field off a line with parameter expansion, not with echo and cut.

    Two processes per line -> none. Source: POSIX.1-2017, XCU 2.6.2, ${name%%pattern}.
    Only of variables that `read` sets: they hold one line.
    """
    for outer, around in script.simple():
        if len(outer.assignments) != 1 or outer.words or outer.redirections:
            continue
        name, value = outer.assignments[0]
        if (
            len(value.substitutions) != 1
            or value.text.strip('"') != script.text[value.substitutions[0].start : value.substitutions[0].end]
        ):
            continue
        said = _echoed(value.substitutions[0], around, script)
        cut = _cut(said[1]) if said else None
        if said is None or cut is None or said[0] == name:
            continue
        variable, (separator, field) = said[0], cut
        first = f"{name}=${{{variable}%%{separator}*}}"
        second = f"{name}=${{{variable}#*{separator}}}; {name}=${{{name}%%{separator}*}}"
        what = f"field {field} of ${variable} cut off by echo | cut -> parameter expansion"
        if field == "1" or script.starts_line(outer.start):
            new = first if field == "1" else second
            yield script.site(outer.start, what, [Edit(outer.start, outer.end, new)])


def _echoed(substitution: Substitution, around: Around, script: Script) -> tuple[str, Simple] | None:
    """The line variable and the command of `$(echo "$line" | command)`."""
    pipelines = substitution.body.pipelines
    return _piped(pipelines[0], around, script) if len(pipelines) == 1 else None


def _piped(pipeline: Pipeline, around: Around, script: Script) -> tuple[str, Simple] | None:
    """The variable that holds one line, and the command it is piped to by echo or printf."""
    if len(pipeline.commands) != 2:
        return None
    says, command = pipeline.commands
    if not isinstance(says, Simple) or not isinstance(command, Simple):
        return None
    if not says.is_plain or not command.is_plain:
        return None
    texts = [word.text for word in says.words]
    says_one = (len(texts) == 2 and texts[0] == "echo") or (
        len(texts) == 3 and texts[:2] in (["printf", "'%s\\n'"], ["printf", '"%s\\n"'])
    )
    variable = says.words[-1].variable if says_one else None
    lines = {name for loop in around for name in script.reads(loop)}
    return (variable, command) if variable in lines and variable is not None else None


def _cut(command: Simple) -> tuple[str, str] | None:
    """The separator and the field of `cut -d, -f1`, or -f2."""
    said = [word.literal for word in command.words]
    if said[0] != "cut" or None in said:
        return None
    found = re.fullmatch(
        r"-d\x00?([,:;=@%|/ ])\x00-f\x00?([12])", "\x00".join(str(word) for word in said[1:])
    )
    return (f"'{found[1]}'" if found[1] in " ;|" else found[1], found[2]) if found else None


def search_in_line(script: Script) -> Iterator[Site]:
    """Ask with case whether a line holds a text, not with echo and grep -q.

    Two processes per line -> none. Source: POSIX.1-2017, XCU 2.9.4.3, case.
    Only of variables that `read` sets, and for texts without a special character.
    """
    for place in script.places:
        for pipeline in place.block.pipelines:
            said = _piped(pipeline, place.around, script)
            words = [word.literal for word in said[1].words] if said else []
            asks = len(words) == 3 and words[:2] == ["grep", "-q"]
            found = _SEARCHED.fullmatch(words[2] or "") if asks else None
            if said is None or found is None or pipeline.negated:
                continue
            pattern = f"{'' if found[1] else '*'}'{found[2]}'{'' if found[3] else '*'}"
            new = f'case "${said[0]}" in ({pattern}) true ;; (*) false ;; esac'
            what = f"echo | grep -q {words[2]} for each line -> case"
            yield script.site(pipeline.start, what, [Edit(pipeline.start, pipeline.end, new)])


# --- whole loops --------------------------------------------------------------------------------------


def filter_lines(script: Script) -> Iterator[Site]:
    """Give a filter the whole input, not one line at a time.

    Two processes per line -> one for all. Source: POSIX.1-2017, XCU cut, tr: filters of lines.
    For `while IFS= read -r line; do echo "$line" | cut ...; done`.
    """
    for pipeline, around in script.pipelines():
        for loop in pipeline.commands:
            if not isinstance(loop, Compound) or len(loop.blocks) != 2 or len(loop.blocks[1].pipelines) != 1:
                continue
            condition = loop.blocks[0].pipelines[0].only if len(loop.blocks[0].pipelines) == 1 else None
            said = _piped(loop.blocks[1].pipelines[0], (loop, *around), script)
            if said is None or condition is None or not script.reads(loop):
                continue
            raw = [word.text for word in condition.words] == ["read", "-r", said[0]]
            keeps_blanks = [(name, value.text) for name, value in condition.assignments] == [("IFS", "")]
            if raw and keeps_blanks and said[1].name in _PER_LINE and _is_filter(said[1]):
                end = loop.blocks[1].pipelines[0].end
                behind = script.text[loop.end - _redirected(script, loop) : loop.end]
                filter_text = script.text[said[1].start : end]
                what = f"{said[1].name} for each line -> for all lines at once"
                yield script.site(loop.start, what, [Edit(loop.start, loop.end, f"{filter_text}{behind}")])


def _redirected(script: Script, loop: Compound) -> int:
    """How many characters of a loop are the redirections behind its `done`."""
    return len(script.text[loop.start : loop.end]) - script.text[loop.start : loop.end].rindex("done") - 4


def _is_filter(command: Simple) -> bool:
    """Whether the command reads nothing but its input, and turns each line into one line."""
    said = [word.literal for word in command.words[1:]]
    if None in said or any("\n" in str(word) or "\\" in str(word) for word in said):
        return False
    options = [word for word in said if str(word).startswith("-")]
    if command.name == "cut":
        return len(options) == len(said)
    return len(said) == 2 and not options and not any("[:space:]" in str(word) for word in said)


def list_files(script: Script) -> Iterator[Site]:
    """Let the shell list files by a pattern, not by ls in a process.

    One process per loop -> none, and names with blanks stay whole. Source: POSIX.1-2017, XCU 2.13.3.
    """
    for pipeline, _ in script.pipelines():
        for loop in pipeline.commands:
            if not isinstance(loop, Compound) or loop.kind != "for" or len(loop.words) != 1:
                continue
            word = loop.words[0]
            substitution = word.substitutions[0] if len(word.substitutions) == 1 else None
            if substitution is None or (substitution.start, substitution.end) != (word.start, word.end):
                continue
            pipelines = substitution.body.pipelines
            ls = pipelines[0].only if len(pipelines) == 1 else None
            if ls is None or not ls.is_plain or ls.name != "ls" or not script.starts_line(loop.start):
                continue
            pattern = ls.words[1].text if len(ls.words) == 2 else "*" if len(ls.words) == 1 else ""
            body = loop.blocks[0].pipelines
            if re.fullmatch(r"[\w./-]*\*[\w.-]*", pattern) and body and script.starts_line(body[0].start):
                guard = f'[ -e "${loop.variable}" ] || continue\n{script.indent(body[0].start)}'
                edits = [Edit(word.start, word.end, pattern), Edit(body[0].start, body[0].start, guard)]
                yield script.site(
                    loop.start, f"for over $({script.text[ls.start : ls.end]}) -> {pattern}", edits
                )


def hoist_command(script: Script) -> Iterator[Site]:
    """Ask in front of a loop what is the same in each round, as whoami and uname are.

    One process per round -> one. Source: loop-invariant code motion (Aho et al. 9.5).
    """
    for substitution, inner, _, around in _substituted(script):
        loops = [loop for loop in around if loop.kind in ("for", "while", "until")]
        plain = all(word.literal for word in inner.words)
        if not loops or inner.name not in _FIXED or not plain or not script.starts_line(loops[-1].start):
            continue
        if any(loop.kind == "function" for loop in around):
            continue
        name = _fresh(script, f"{inner.name}_said")
        said = script.text[substitution.start : substitution.end]
        line = script.text.rfind("\n", 0, loops[-1].start) + 1
        edits = [
            Edit(line, line, f"{script.indent(loops[-1].start)}{name}={said}\n"),
            Edit(substitution.start, substitution.end, f"${{{name}}}"),
        ]
        yield script.site(inner.start, f"{said} is the same in each round -> asked once", edits)


def _fresh(script: Script, name: str) -> str:
    candidates = [name, *(f"{name}_{at}" for at in range(2, 99))]
    return next(candidate for candidate in candidates if candidate not in script.text)


# --- several questions to one file --------------------------------------------------------------------


@dataclass(frozen=True)
class _Question:
    """`name=$(...)` about one file: how awk notes what it needs of a line, and what it says at the end."""

    name: str
    file: str
    notes: str
    says: str
    start: int
    end: int


def one_pass(script: Script) -> Iterator[Site]:
    """Ask one awk all that is to be known of a file, not one process after the other.

    For runs of `name=$(grep -c TEXT FILE)`, `$(wc -l < FILE)` and `$(sed -n 's/^TEXT//p' FILE | head -n 1)`.
    k to 3k processes and k readings of the file -> one. Source: POSIX.1-2017, XCU awk.
    """
    for place in script.places:
        run: list[_Question] = []
        for pipeline in (*place.block.pipelines, None):
            question = _question(script, pipeline, len(run)) if pipeline is not None else None
            if question is not None and run and question.file == run[0].file:
                run.append(question)
                continue
            if len(run) > 1 and len({asked.name for asked in run}) == len(run):
                yield _in_one_pass(script, run)
            run = [question] if pipeline and (question := _question(script, pipeline, 0)) else []


def _question(script: Script, pipeline: Pipeline, number: int) -> _Question | None:
    command = pipeline.only
    if command is None or len(command.assignments) != 1 or command.words or command.redirections:
        return None
    name, value = command.assignments[0]
    inner = value.substitutions[0] if len(value.substitutions) == 1 else None
    if inner is None or value.text.strip('"') != script.text[inner.start : inner.end]:
        return None
    asked = _asked(inner.body.pipelines, f"v{number}") if pipeline.then in ("\n", "") else None
    if asked is None or not script.is_safe() or f"${name}" in asked[0] or f"${{{name}" in asked[0]:
        return None
    return _Question(name, *asked, command.start, command.end) if script.starts_line(command.start) else None


def _asked(pipelines: Sequence[Pipeline], variable: str) -> tuple[str, str, str] | None:
    """The file, the note and the answer of a command that awk can stand in for."""
    commands = pipelines[0].commands if len(pipelines) == 1 and not pipelines[0].negated else ()
    first = commands[0] if commands else None
    if not isinstance(first, Simple) or first.assignments:
        return None
    said = [word.literal for word in first.words]
    if len(commands) == 1 and len(said) == 4 and said[:2] == ["grep", "-c"] and first.is_plain:
        file, text = first.words[3], said[2] or ""
        found = _SEARCHED.fullmatch(text)
        if found and file.is_one:
            return file.text, f"/{text}/ {{ {variable}++ }}", f"{variable} + 0"
    if len(commands) == 1 and said == ["wc", "-l"] and [op for op, _ in first.redirections] == ["<"]:
        file = first.redirections[0][1]
        return (file.text, f"{{ {variable}++ }}", f"{variable} + 0") if file.is_one else None
    head = commands[1] if len(commands) == 2 else None
    if isinstance(head, Simple) and " ".join(word.text for word in head.words) in _FIRST_LINE:
        found = re.fullmatch(r"s/\^([\w ,:;=@%<>~&#-]+)( \*)?//p", said[2] or "") if len(said) == 4 else None
        if found and said[:2] == ["sed", "-n"] and head.is_plain and first.is_plain and first.words[3].is_one:
            notes = (
                f"!f{variable} && /^{found[1]}/ {{ f{variable} = 1; {variable} = $0; "
                f'sub(/^{found[1]}{found[2] or ""}/, "", {variable}) }}'
            )
            return first.words[3].text, notes, variable
    return None


def _in_one_pass(script: Script, run: Sequence[_Question]) -> Site:
    indent = script.indent(run[0].start)
    program = f"\n{indent}  ".join(asked.notes for asked in run)
    says = "".join(f"print {asked.says}; " for asked in run)
    reads = "; ".join(f"IFS= read -r {asked.name}" for asked in run)
    # A last line of its own: where the substitution loses empty lines at the end, read would fail.
    new = (
        f"{{ {reads}; }} <<ANSWERS\n$(awk '{program}\n{indent}  "
        f'END {{ {says}print "end" }}\' {run[0].file})\nANSWERS'
    )
    what = f"{len(run)} questions to {run[0].file} in {len(run)} processes -> one awk"
    return script.site(run[0].start, what, [Edit(run[0].start, run[-1].end, new)])


RULES = (
    Rule("path-parts", SHELL, 19, path_parts),
    Rule("expr-arithmetic", SHELL, 1.79, expr_arithmetic),
    Rule("cut-field", SHELL, 86, cut_field),
    Rule("search-in-line", SHELL, 10, search_in_line),
    Rule("filter-lines", SHELL, 72, filter_lines),
    Rule("list-files", SHELL, 1.53, list_files),
    Rule("hoist-command", SHELL, 20, hoist_command),
    Rule("one-pass", SHELL, 7.57, one_pass),
)
