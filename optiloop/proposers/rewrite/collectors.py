"""Rules for the scripts around a model: what they hand it, and what they take off its output. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiloop.proposers.rewrite.rule import Edit, Heard, Rule, Site
from optiloop.proposers.rewrite.settings import FLOODED, HIDDEN, LEAST_LINES, MOST_LINES
from optiloop.proposers.rewrite.shell import SHELL, Script, Simple, Word

_COUNT = re.compile(r"(-n ?|-|--lines=)?(\d+)")


def wide_head(script: Heard[Script]) -> Iterator[Site]:
    """Let head or tail pass more lines: five times as many, then all of them up to a thousand.

    What a collector cuts off no prompt brings back. Source: the vault's `head -10` that hid every trend.
    """
    for word, digits, count in _counts(script.seen):
        for more in (5 * count, 1000):
            if count < more <= MOST_LINES:
                yield _turned(script.seen, word, digits, more)


def narrow_head(script: Heard[Script]) -> Iterator[Site]:
    """Let head or tail pass a quarter of the lines, or a sixteenth; of a whole file the last 100.

    What overflows the context pushes the instructions out of it. Source: the vault's "context overflow by
    too many lines".
    """
    for word, digits, count in _counts(script.seen):
        for fewer in (count // 4, count // 16):
            if fewer >= LEAST_LINES:
                yield _turned(script.seen, word, digits, fewer)
    for command, _ in script.seen.simple():
        if command.name == "cat" and len(command.words) > 1 and command.is_plain:
            name = command.words[0]
            many = len(command.words) > 2 or not command.words[1].is_one
            edit = Edit(name.start, name.end, "tail -q -n 100" if many else "tail -n 100")
            yield script.seen.site(command.start, "cat -> the last 100 lines", [edit])


def _counts(script: Script) -> Iterator[tuple[Word, re.Match[str], int]]:
    """Each number of lines that head or tail is given, with the word that holds it."""
    for command, _ in script.simple():
        if command.name not in ("head", "tail"):
            continue
        for before, word in zip(command.words, command.words[1:], strict=False):
            hit = _COUNT.fullmatch(word.text)
            if hit and (hit[1] or before.text in ("-n", "--lines")):
                yield word, hit, int(hit[2])
                break


def _turned(script: Script, word: Word, digits: re.Match[str], count: int) -> Site:
    edit = Edit(word.start + digits.start(2), word.start + digits.end(2), str(count))
    return script.site(word.start, f"{digits[2]} lines -> {count}", [edit])


# --- sections ----------------------------------------------------------------------------------------

_FROM = re.compile(r"['\"]/(\^?)(#+)( *)((?:[^/'\"\\]|\\.)*)/,(?:\$|/\^?\$?/|0)(?: ?p| *\{ *print *\})?['\"]")


def section_end(script: Heard[Script]) -> Iterator[Site]:
    """End a section of a note where the next heading of its level begins, not at the end of the file.

    What follows leaks into the prompt, and from there into the output. Source: the vault's "a section regex
    that leaks".
    """
    for command, _ in script.seen.simple():
        said = [word.text for word in command.words]
        program, rest = _program(command, said)
        hit = _FROM.fullmatch(program.text) if program is not None else None
        if hit is None or program is None:
            continue
        level, title = hit[2], f"{hit[2]}{hit[3]}{hit[4]}"
        new = f"awk '/^#{{1,{len(level)}}} /{{on=0}} /^{title}/{{on=1}} on'"
        if len(level) <= 3:  # not every awk knows intervals
            new = f"awk '/^{'#?' * (len(level) - 1)}# /{{on=0}} /^{title}/{{on=1}} on'"
        edit = Edit(command.words[0].start, program.end, new)
        what = f"section {title} -> ends at the next heading"
        if "'" not in title and rest <= 1:
            yield script.seen.site(command.start, what, [edit])


def _program(command: Simple, said: list[str]) -> tuple[Word | None, int]:
    """The word with the program of a sed -n or awk, and how many words stand behind it."""
    at = {"sed": 2, "awk": 1}.get(command.name)
    if at is None or len(said) <= at or (command.name == "sed" and said[1] != "-n"):
        return None, 0
    return command.words[at], len(said) - at - 1


# --- front matter ------------------------------------------------------------------------------------

_FIELD = re.compile(r"'s/\^([\w-]+): ?( \*)?//p'")


def one_awk(script: Heard[Script]) -> Iterator[Site]:
    """Read several fields of a file with one awk, not with one sed for each.

    k processes per file -> one. Where a field stands there twice the first counts. Source: the vault's "four
    sed calls per note".
    """
    for place in script.seen.places:
        run: list[tuple[str, str, Simple]] = []
        for pipeline in (*place.block.pipelines, None):
            asked = _field(script.seen, pipeline.only) if pipeline is not None else None
            if asked is not None and (not run or asked[3] == _file_of(script.seen, run[0][2])):
                run.append(asked[:3])
                continue
            if len(run) > 1:
                yield _one_awk(script.seen, run)
            run = [asked[:3]] if asked is not None else []


def _field(script: Script, command: Simple | None) -> tuple[str, str, Simple, str] | None:
    """The variable, the field, the command and the file of `name=$(sed -n 's/^field: //p' FILE)`."""
    if command is None or command.words or len(command.assignments) != 1:
        return None
    name, value = command.assignments[0]
    file = _file_of(script, command)
    inner = _inner(value)
    hit = _FIELD.fullmatch(inner.words[2].text) if inner is not None and file else None
    return (name, hit[1], command, file) if hit else None


def _file_of(script: Script, command: Simple) -> str:
    """The file that the sed within an assignment reads; empty where it is no such sed."""
    inner = _inner(command.assignments[0][1])
    if inner is None or [word.text for word in inner.words[:2]] != ["sed", "-n"] or len(inner.words) != 4:
        return ""
    return inner.words[3].text if inner.is_plain and inner.words[3].is_one else ""


def _inner(value: Word) -> Simple | None:
    """The one simple command of a word that is a substitution and nothing else."""
    found = value.substitutions[0] if len(value.substitutions) == 1 else None
    if found is None or len(value.text.strip('"')) != found.end - found.start:
        return None
    return found.body.pipelines[0].only if len(found.body.pipelines) == 1 else None


def _one_awk(script: Script, run: list[tuple[str, str, Simple]]) -> Site:
    first, last = run[0][2], run[-1][2]
    indent, file = script.indent(first.start), _file_of(script, first)
    reads = "; ".join(f"IFS= read -r {name}" for name, _, _ in run)
    notes = f"\n{indent}  ".join(
        f"/^{field}: / && !({number} in v) {{ v[{number}] = substr($0, {len(field) + 3}) }}"
        for number, (_, field, _) in enumerate(run)
    )
    says = "; ".join(f"print v[{number}]" for number in range(len(run)))
    # A last line of its own: where the substitution loses empty lines at the end, read would fail.
    new = (
        f"{{ {reads}; }} <<FIELDS\n$(awk '{notes}\n{indent}  END {{ {says}; print \"end\" }}' {file})\nFIELDS"
    )
    what = f"{len(run)} seds for {file} -> one awk"
    return script.site(first.start, what, [Edit(first.start, last.end, new)])


# --- what is taken off the output ----------------------------------------------------------------------

_PASSES = re.compile(r"(?:\s*(?:#[^\n]*|set -[eu]+|cat(?: -)?|exec cat)?\s*(?:\n|\Z))*")
_STRIPPER = """\
# Takes off what no reader wants: thoughts, code fences, blank lines at both ends.
awk '
  /<think>/ { thinking = 1 }
  !thinking && !/^[ \\t]*(```|~~~)/ && (length($0) || seen) {
    if (length($0)) { while (blank-- > 0) print ""; blank = 0; print; seen = 1 } else blank++
  }
  /<\\/think>/ { thinking = 0 }
'
"""
_DROPPER = """\
# Takes out lines that still hold a placeholder, and code fences.
awk '!/^[ \\t]*(```|~~~)/ && !/<[a-z][a-z ._-]*>|\\[[A-Z][A-Z _-]+\\]|\\{\\{[^}]*\\}\\}|TODO|\\.\\.\\.$/'
"""


def strip_output(script: Heard[Script]) -> Iterator[Site]:
    """Put a post-processor where there is none: one that strips fences and thoughts, or placeholders.

    A rule in a prompt is heeded now and then, a program each time. Source: the vault's "a post-processor that
    is missing".
    """
    text = script.seen.text
    if not _PASSES.fullmatch(text) or "cat" not in text:
        return
    shebang = text[: text.index("\n") + 1] if text.startswith("#!") else ""
    drops = re.search(r"placeholder", script.said, re.IGNORECASE)
    for program, what in ((_DROPPER, "placeholders"), (_STRIPPER, "fences and thoughts")):
        if drops or program is _STRIPPER:
            edit = Edit(0, len(text), shebang + program)
            yield Site("", 1, f"passes everything -> takes off {what}", text, (edit,))


RULES = (
    Rule(
        "strip-output",
        SHELL,
        3.2,
        strip_output,
        measured=False,
        answers=r"fence|```|placeholder|think|preamble|nothing before",
    ),
    Rule("one-awk", SHELL, 2.7, one_awk, measured=False, answers=r"fork|process|\bsed\b|slow"),
    Rule(
        "section-end", SHELL, 2.6, section_end, measured=False, answers=r"leak|section|other|foreign|belongs"
    ),
    Rule("wide-head", SHELL, 2.3, wide_head, measured=False, answers=HIDDEN),
    Rule("narrow-head", SHELL, 2.2, narrow_head, measured=False, answers=FLOODED),
)
