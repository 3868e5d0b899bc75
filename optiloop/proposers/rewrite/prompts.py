"""Rules that change a prompt so that a check which its output failed passes. Pure.

What is inserted (a count, a form, a word) comes from the failed check's own words, so that it fits a task
that nobody here has seen. The lessons are those of a night in which a vault's 14 prompts were mended, and of
small models measured on such edits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optiloop.proposers.rewrite.rule import Edit, Heard, Rule, Site
from optiloop.proposers.rewrite.texts import PROMPT

_FENCE = r"fence|```"
_COPIED = r"cop(?:y|ies|ied)|verbatim|overlap|example"
_NUMBER = re.compile(
    r"(?P<bound>at least|no fewer than|at most|no more than|exactly|between|needs|wants|must have|expected)?"
    r"\s*\b(?P<count>\d+(?:\s*(?:-|–|to|and|\.\.)\s*\d+)?)\b\s*(?P<noun>[a-zA-Z][\w' -]*)?",
    re.IGNORECASE,
)
_FOUND = re.compile(
    r"\s*(?:but )?(?:it )?(?:has|had|got|found|only|counted|there (?:are|is)|was|were)\b", re.I
)
_WANTED = re.compile(r"\b(?:(?:are|is) )?(?:wanted|needed|expected|required|asked for)\b.*", re.IGNORECASE)
_NEEDS = re.compile(
    r"^(?:it |the (?:output|answer|text) )?(?:needs|wants|must|should)(?: have| be)?\s+", re.I
)
_UNTOLD = re.compile(r"\bmiss(?:es|ing)?\b[^;]*['\"]", re.IGNORECASE)
"""What this input should have led to: told to a prompt it would be right for this input alone."""
_QUOTED = re.compile(r"[\"“'‘`]([^\"”'’`\n]{1,80})[\"”'’`]")


# --- what a check asks for ---------------------------------------------------------------------------


def counts_in(said: str) -> list[str]:
    """What a check wants counted, as in "at least 5 bullets"; what it has found instead is passed over."""
    clauses = [clause for clause in re.split(r"[,;:()]", said) if not _FOUND.match(clause)]
    known = [hit for clause in clauses for hit in _NUMBER.finditer(clause)]
    asked = [hit for hit in known if hit["bound"]] or [hit for hit in known if _WANTED.search(hit.string)]
    found = []
    for hit in asked:
        noun = _noun(hit["noun"]) or next((_noun(other["noun"]) for other in known if other["noun"]), "")
        noun = noun or _lone_noun(clauses)
        if noun:
            found.append(f"{_bound(hit)} {' '.join(hit['count'].split())} {noun}")
    return list(dict.fromkeys(found))


def _bound(hit: re.Match[str]) -> str:
    bound = (hit["bound"] or "exactly").lower()
    if re.search(r"\D", hit["count"]):
        return "between" if " and " in hit["count"] else "from"
    return "exactly" if bound in ("needs", "wants", "must have", "expected") else bound


def _noun(words: str | None) -> str:
    return _WANTED.sub("", words or "").strip()


def _lone_noun(clauses: list[str]) -> str:
    """In "words: 31, at least 120" the clause without a number says what is counted."""
    return next((clause.strip() for clause in clauses if re.fullmatch(r"\s*[a-z]+s\s*", clause)), "")


def form_in(said: str) -> str:
    """The rule that states the form a check wants; empty where its words name none."""
    if re.search(r"leak|no answer|overflow", said):
        return ""
    if _UNTOLD.search(said):
        return "Call each thing by the name that it has in the input." if "text" in said else ""
    quoted = _QUOTED.findall(said)
    named = ", ".join(quoted)
    if re.search(r"\bJSON\b", said, re.IGNORECASE):
        keys = f" with the keys {named}" if quoted else ""
        return f"Answer with raw JSON{keys} and nothing else: the first character is {{ or [."
    if re.search(r"front[ -]?matter", said, re.IGNORECASE):
        lines = "".join(f"\n{key}: <{key}>" for key in quoted) or "\nname: <value>"
        return f"Begin with this header, each <...> filled in:\n---{lines}\n---"
    if re.search(r"\bheadings?\b|\bsections?\b", said, re.IGNORECASE) and quoted:
        return f"Write these headings, each on a line of its own, with text below each: {named}"
    if re.search(r"\b(?:begins?|starts?) with\b", said, re.IGNORECASE) and quoted:
        return f"Begin the answer with {quoted[0]}"
    if re.search(r"\bone word\b", said, re.IGNORECASE):
        return f"Answer with exactly one word{': ' + named if quoted else ''}."
    return ""


_SHAPES = {"items": ", each on a line that begins with '- '", "sentences": ", each with a full stop"}
_SCANT = re.compile(
    r"[A-Z][^.!?\n]*\b(?:one|a single|a few|short|brief)\b[^.!?\n]*"
    r"\b(?:enough|sentences?|words?|lines?)\b[^.!?\n]*\."
)
"""A sentence that asks for little."""


# --- the rules ---------------------------------------------------------------------------------------


def counted_rule(prompt: Heard[str]) -> Iterator[Site]:
    """Say how many: state the count that a check asks for as a rule of the prompt.

    A prompt without counts gets as much as the model likes. Source: the vault's lesson "thin prompt without
    counts", and its brief that was too short for the next task; a small model's briefing .44 -> .67.
    """
    text = prompt.seen
    counts = [count for count in counts_in(prompt.said) if count.lower() not in text.lower()]
    rule = " ".join(f"Write {count}." for count in counts)
    shaped = " ".join(f"Write {count}{_SHAPES.get(count.split()[-1], '')}." for count in counts)
    if not rule:
        return
    what = f"no count -> {', '.join(counts)}"
    for hit in _SCANT.finditer(text) if "at least" in rule else ():
        line = text.count("\n", 0, hit.start()) + 1
        yield Site("", line, f"{hit[0]!r} -> {', '.join(counts)}", text, (Edit(*hit.span(), rule),))
    yield from _said(text, rule, what)
    if shaped != rule:
        yield from _said(text, shaped, f"{what}, in their form")


def format_rule(prompt: Heard[str]) -> Iterator[Site]:
    """Say the form: state the header, headings, keys or words that a check asks for.

    A model that is not told the form makes one up. Source: the vault's "format rule" lesson; with the form
    stated a 1.5B model's notes went from .00 to .83, its JSON from .00 to 1.00.
    """
    rule = form_in(prompt.said)
    if rule and rule not in prompt.seen:
        yield from _said(prompt.seen, rule, f"form stated: {rule.splitlines()[0][:50]}")


def checked_rule(prompt: Heard[str]) -> Iterator[Site]:
    """Tell the model what its output is checked for, in the check's own words.

    What is judged and never said is met by chance. Source: the vault's rule that a prompt names what its
    judge looks at.
    """
    for clause in re.split(r"[;(]|, (?=has|got|found|only)", prompt.said):
        asked = _NEEDS.sub("", clause.strip())
        says = asked != clause.strip() or clause.rstrip().endswith("?")
        if says and not _UNTOLD.search(clause) and asked.lower() not in prompt.seen.lower():
            rule = f"Make sure of this: {asked}{'' if asked.endswith('?') else '.'}"
            yield from _said(prompt.seen, rule, f"told what is checked: {asked[:50]}")


def forbid_fences(prompt: Heard[str]) -> Iterator[Site]:
    """Forbid code fences and words around the answer.

    A program that reads the output trips over them. Source: the vault's "code fences" lesson; "raw JSON
    only, no fence" took a 0.5B model from .00 to .75.
    """
    rule = "Write the text itself: no code fence, nothing before it and nothing after it."
    if not re.search(r"\bno (?:code )?fences?\b", prompt.seen, re.IGNORECASE):
        yield from _said(prompt.seen, rule, "code fences -> forbidden")


def forbid_words(prompt: Heard[str]) -> Iterator[Site]:
    """Forbid what a check found and must not be there: a phrase, a placeholder, the instructions themselves.

    A model repeats what it reads unless it is told not to. Source: the vault's "literal placeholders" and
    "leaked instructions" lessons.
    """
    quoted = _QUOTED.findall(prompt.said)
    if re.search(r"placeholder", prompt.said, re.IGNORECASE):
        rule = "Fill in everything: no square or angle brackets, no TODO, no blanks."
    elif quoted and not _UNTOLD.search(prompt.said):
        rule = f"Never write: {', '.join(quoted)}"
    else:
        rule = "Do not repeat these instructions: write the result alone."
    if rule not in prompt.seen:
        yield from _said(prompt.seen, rule, f"forbidden: {rule[:50]}")


def _said(text: str, rule: str, what: str) -> Iterator[Site]:
    """The rule as the prompt's last line, where small models heed it most, and as its first."""
    end = len(text.rstrip())
    if not end:
        return
    line = text.count("\n", 0, end) + 1
    yield Site("", line, f"{what} (last line)", text, (Edit(end, len(text), f"\n\n{rule}\n"),))
    yield Site("", 1, f"{what} (first line)", text, (Edit(0, 0, f"{rule}\n\n"),))


# --- templates ---------------------------------------------------------------------------------------

_FENCED = re.compile(r"(?m)^[ \t]*(```+|~~~+)[^\n]*(?:\n|\Z)")
_BLANK = re.compile(r"(?m)[ \t]*(?<!\{)(?:\[[A-Za-z][^\]\n]{0,60}\](?!\()|<[A-Za-z][^>\n]{0,60}>)")


def plain_template(prompt: Heard[str]) -> Iterator[Site]:
    """Take the code fences off a prompt's own template, and its placeholders out; both, then each.

    A model gives back the form that it is shown, fence and all. Source: the vault's "literal placeholders and
    code fences" lesson.
    """
    text = prompt.seen
    fences = [Edit(*hit.span(), "") for hit in _FENCED.finditer(text)]
    blanks = [Edit(*hit.span(), "") for hit in _BLANK.finditer(text)]
    for what, edits in (
        ("fences and placeholders of the template -> gone", [*fences, *blanks] if fences and blanks else []),
        ("placeholders of the template -> gone", blanks),
        ("fences of the template -> gone", fences),
    ):
        if edits:
            yield Site("", text.count("\n", 0, edits[0].start) + 1, what, text, tuple(edits))


# --- examples ----------------------------------------------------------------------------------------

_EXAMPLE = re.compile(r"(?im)^(?:#+[^\n]*\bexamples?\b[^\n]*|[^\n]*\bexamples?\b[^\n]{0,60}:\**)[ \t]*\n+")
_NOTE = "Each <...> stands for words of your own about the input; copy nothing from this pattern.\n"


def structure_only(prompt: Heard[str]) -> Iterator[Site]:
    """Replace an example's words by placeholders that keep its structure, or leave the example out.

    An example is copied: all six outputs of a 0.5B model were one. Source: the vault's "an example that gets
    copied verbatim" lesson, structure-only placeholders.
    """
    text = prompt.seen
    for head in _EXAMPLE.finditer(text):
        start, end = head.end(), _end_of_example(text, head.end())
        block = text[start:end]
        shape = "\n".join(_placeholder(line) for line in block.split("\n"))
        line = text.count("\n", 0, start) + 1
        if block.strip() and shape != block:
            what, new = "example -> its structure alone", f"{shape.rstrip()}\n\n{_NOTE}\n"
            yield Site("", line, what, text, (Edit(start, end, new),))
        if block.strip():
            yield Site("", line, "example -> left out", text, (Edit(head.start(), end, ""),))


def _end_of_example(text: str, start: int) -> int:
    """Behind its closing fence, its indented lines, or its last line before a gap; a header belongs to it."""
    if fence := re.match(r"(```+|~~~+)[^\n]*\n", text[start:]):
        close = text.find(f"\n{fence[1]}", start + fence.end() - 1)
        return len(text) if close < 0 else min(len(text), close + len(fence[1]) + 2)
    header = re.match(r"---\n.*?\n---\n+", text[start:], re.DOTALL)
    gap = re.compile(r"\n[ \t]*(?=\n)").search(text, start + (header.end() if header else 0))
    return len(text) if gap is None else gap.end() + 1


def _placeholder(line: str) -> str:
    indent, said = line[: len(line) - len(line.lstrip())], line.strip()
    if not re.search(r"\w", said) or said.startswith(("```", "~~~", "<")):
        return line
    if found := re.match(r"(\"[\w -]+\"\s*:\s*)(?:\"[^\"]*\"|[\d.]+)(,?)$", said):
        return f'{indent}{found[1]}"<...>"{found[2]}'
    if found := re.match(r"(\w[\w-]*):(\s+)(?=\S)", said):
        return f"{indent}{found[1]}:{found[2]}<{found[1]}>"
    if found := re.match(r"([-*+]|\d+[.)])\s+", said):
        return f"{indent}{found[0]}<a line of your own>"
    if found := re.match(r"#\s+", said):
        return f"{indent}{found[0]}<title>"
    return line if said.startswith("##") else f"{indent}<sentences of your own>"


# The article's gains are not ours: these are ranks.
RULES = (
    Rule("structure-only", PROMPT, 3.0, structure_only, measured=False, answers=_COPIED),
    Rule(
        "format-rule",
        PROMPT,
        2.5,
        format_rule,
        measured=False,
        answers=r"json|front[ -]?matter|heading|section|form|begin|start|one word|miss|lack|with|\bno\b|nam",
    ),
    Rule(
        "counted-rule",
        PROMPT,
        2.4,
        counted_rule,
        measured=False,
        answers=r"\d",
    ),
    Rule(
        "plain-template",
        PROMPT,
        2.9,
        plain_template,
        measured=False,
        answers=r"fence|```|placeholder",
    ),
    Rule("forbid-fences", PROMPT, 2.2, forbid_fences, measured=False, answers=_FENCE),
    Rule(
        "forbid-words",
        PROMPT,
        2.0,
        forbid_words,
        measured=False,
        answers=r"forbid|must not|leak|placeholder|instruction|<think",
    ),
    Rule("checked-rule", PROMPT, 1.2, checked_rule, measured=False, answers=r"\w+ \w+"),
)
