"""Rules for shell commands and pipelines that start more processes than the work needs.

A process costs about a millisecond, thousands of times what the shell itself needs for a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiloop.proposers.rewrite.rule import Edit, Rule, Site
from optiloop.proposers.rewrite.shell import SHELL, Script, Simple, Word, literal

_READS_INPUT = frozenset({"awk", "cut", "grep", "head", "sed", "sort", "tail", "tr", "uniq", "wc"})
_TAKES_MANY = frozenset({"rm", "chmod", "chown", "chgrp", "touch", "cat", "gzip", "gunzip"})


# --- pipelines ----------------------------------------------------------------------------------------


def cat_pipe(script: Script) -> Iterator[Site]:
    """Let a command read its file itself, not through cat.

    One process less per run. Source: POSIX.1-2017, XCU 2.7.1, redirecting input.
    """
    for pipeline, _ in script.pipelines():
        cat, *rest = pipeline.commands
        reader = rest[0] if rest else None
        if not isinstance(cat, Simple) or not isinstance(reader, Simple) or reader.name not in _READS_INPUT:
            continue
        file = cat.words[1] if cat.is_plain and cat.name == "cat" and len(cat.words) == 2 else None
        if file is None or not file.is_one or file.text.startswith("-") or not reader.is_plain:
            continue
        edits = [Edit(cat.start, reader.start, ""), Edit(reader.end, reader.end, f" < {file.text}")]
        yield script.site(
            cat.start, f"cat {file.text} | {reader.name} -> {reader.name} reads it itself", edits
        )


def sed_chain(script: Script) -> Iterator[Site]:
    """Run one sed with several -e, not one sed behind the other.

    k processes and k copies of the text -> one. Source: POSIX.1-2017, XCU sed, -e.
    """
    for pipeline, _ in script.pipelines():
        run: list[tuple[Simple, _Sed]] = []
        for command in (*pipeline.commands, None):
            sed = _sed_of(command) if isinstance(command, Simple) else None
            follows = bool(run) and sed is not None and not sed.files and sed.flags == run[0][1].flags
            if sed is not None and isinstance(command, Simple) and follows:
                run.append((command, sed))
                continue
            if len(run) > 1:
                yield script.site(run[0][0].start, *_one_sed(run))
            run = [(command, sed)] if sed is not None and isinstance(command, Simple) else []


def sed_in_place(script: Script) -> Iterator[Site]:
    """Change a file in place with one sed, not with one sed after the other.

    k processes and k copies of the file -> one. Source: GNU sed manual, -i and -e.
    """
    for place in script.places:
        run: list[tuple[Simple, _Sed]] = []
        for pipeline in (*place.block.pipelines, None):
            command = pipeline.only if pipeline is not None else None
            sed = _sed_of(command, in_place=True) if command is not None else None
            ends = pipeline is not None and pipeline.then in ("\n", ";", "")
            alike = sed is not None and sed.in_place and len(sed.files) == 1 and ends
            if alike and run and sed is not None and command is not None and _same_target(run[0][1], sed):
                run.append((command, sed))
                continue
            if len(run) > 1:
                yield script.site(run[0][0].start, *_one_sed(run))
            run = [(command, sed)] if alike and sed is not None and command is not None else []


class _Sed:
    """A sed command whose script treats each line by itself: flags, expressions and files."""

    def __init__(self, flags: str, expressions: list[str], files: list[Word], *, in_place: bool) -> None:
        self.flags, self.expressions, self.files, self.in_place = flags, expressions, files, in_place


def _same_target(one: _Sed, other: _Sed) -> bool:
    return one.flags == other.flags and one.files[0].text == other.files[0].text and one.files[0].is_one


def _sed_of(command: Simple, *, in_place: bool = False) -> _Sed | None:
    if command.name != "sed" or not command.is_plain:
        return None
    flags, changes = "", False
    expressions: list[str] = []
    files: list[Word] = []
    words = list(command.words[1:])
    while words:
        word = words.pop(0)
        if word.text in ("-E", "-r") and not files:
            flags = " -E"
        elif word.text == "-i" and in_place and not files:
            changes = True
        elif word.text == "-e" and words and not files:
            expressions.append(words.pop(0).text)
        elif word.text.startswith("-"):
            return None
        elif not expressions:
            expressions.append(word.text)
        else:
            files.append(word)
    if in_place != changes or not all(_treats_each_line(expression) for expression in expressions):
        return None
    return _Sed(flags, expressions, files, in_place=changes) if expressions and len(files) <= 1 else None


def _treats_each_line(expression: str) -> bool:
    """Whether a sed script is only `s` commands without address whose text stays one line."""
    said = literal(expression)
    return said is not None and all(_SUBSTITUTES.fullmatch(part.strip()) for part in said.split(";"))


# A pattern that is not empty (that would be the last one used), a replacement without line break.
_PART = r"((?:(?!\1)[^\\\n;]|\\[^n\n])"
_SUBSTITUTES = re.compile(rf"s([/|,#!@]){_PART}+)\1{_PART}*)\1[gI0-9]*")


def _one_sed(run: list[tuple[Simple, _Sed]]) -> tuple[str, list[Edit]]:
    first, last = run[0], run[-1]
    expressions = " ".join(f"-e {expression}" for _, sed in run for expression in sed.expressions)
    files = "".join(f" {file.text}" for file in first[1].files)
    place = " -i" if first[1].in_place else ""
    new = f"sed{place}{first[1].flags} {expressions}{files}"
    return f"{len(run)} sed commands -> one", [Edit(first[0].start, last[0].end, new)]


def grep_count(script: Script) -> Iterator[Site]:
    """Let grep count its lines itself, not wc.

    One process and one copy of the text less. Source: POSIX.1-2017, XCU grep, -c.
    """
    if not script.is_safe():
        return  # grep -c fails where it counts to 0, and wc does not
    for grep, wc in _neighbours(script):
        said = [word.text for word in wc.words]
        options = [word.text for word in grep.words[1:] if word.text.startswith("-")]
        if grep.name != "grep" or not grep.is_plain or said != ["wc", "-l"]:
            continue
        one_file = len(grep.words) - len(options) - 2 <= 1
        if one_file and set(options) <= {"-i", "-v", "-F", "-E", "-w", "-x"}:
            edits = [Edit(grep.words[0].end, grep.words[0].end, " -c"), Edit(grep.end, wc.end, "")]
            yield script.site(grep.start, "grep | wc -l -> grep -c", edits)


def sort_unique(script: Script) -> Iterator[Site]:
    """Drop repeats while sorting, not behind it.

    One process and one copy of the text less. Source: POSIX.1-2017, XCU sort, -u.
    """
    for sort, unique in _neighbours(script):
        plain = sort.name == "sort" and not any(word.text.startswith("-") for word in sort.words[1:])
        if plain and [word.text for word in unique.words] == ["uniq"]:
            edits = [Edit(sort.words[0].end, sort.words[0].end, " -u"), Edit(sort.end, unique.end, "")]
            yield script.site(sort.start, "sort | uniq -> sort -u", edits)


def _neighbours(script: Script) -> Iterator[tuple[Simple, Simple]]:
    """Each simple command with the plain one that it is piped to."""
    for pipeline, _ in script.pipelines():
        for one, other in zip(pipeline.commands, pipeline.commands[1:], strict=False):
            if isinstance(one, Simple) and isinstance(other, Simple) and other.is_plain:
                yield one, other


def find_exec(script: Script) -> Iterator[Site]:
    """Let find hand many files to one command, not start one for each.

    n processes -> a few. Source: POSIX.1-2017, XCU find, -exec ... {} +.
    """
    for command, _ in script.simple():
        texts = [word.text for word in command.words]
        if command.name != "find" or "-exec" not in texts or texts[-1] not in ("\\;", "';'", '";"'):
            continue
        started = texts[texts.index("-exec") + 1]
        once = texts.count("-exec") == 1 and texts.count("{}") == 1 and texts[-2] == "{}"
        if once and started in _TAKES_MANY:
            end = command.words[-1]
            what = f"{started} started for each file -> for many at once"
            yield script.site(command.start, what, [Edit(end.start, end.end, "+")])


RULES = (
    Rule("cat-pipe", SHELL, 1.27, cat_pipe),
    Rule("sed-chain", SHELL, 2.22, sed_chain),
    Rule("sed-in-place", SHELL, 3.53, sed_in_place),
    Rule("grep-count", SHELL, 1.17, grep_count),
    Rule("sort-unique", SHELL, 1.5, sort_unique),
    Rule("find-exec", SHELL, 5.8, find_exec),
)
