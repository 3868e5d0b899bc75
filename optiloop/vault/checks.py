"""Deterministic checks: what was said and what is known -> how far it is met, and what fails. Pure.

Each check is one small function, named in CHECKS. Its words are written for whoever mends the prompt or the
script: what is needed, then what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optiloop.errors import TargetError
from optiloop.vault.task import Check


@dataclass(frozen=True)
class Said:
    """All that a check may look at.

    `text` is what the task hands on, `facts` what its collector and the tasks before it gave it, `asked` the
    prompt before they were put in. `finish` is the model's own; `started` counts processes, None where
    nobody counted. `expected` is what the judge knows of this vault, by name.
    """

    text: str
    facts: str = ""
    asked: str = ""
    finish: str = "stop"
    started: int | None = None
    expected: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """How far a check is met, 0 to 1, and what fails in words; none where it is met."""

    met: float
    failures: tuple[str, ...] = ()


MET = Finding(1.0)
Arguments = Mapping[str, Any]

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)]) +\S", re.MULTILINE)
_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)
_PLACEHOLDER = re.compile(
    r"\[[A-Za-z][^\]\n]{0,60}\](?!\()|<[A-Za-z][^>\n]{0,60}>|\{\{[^}\n]*\}\}|\bTODO\b|\bLorem ipsum\b"
)
_WHOLE = re.compile(r"[.!?…][\"'”’)*_]*\s*\Z")
_SPOKEN = (
    "as an ai",
    "here is the",
    "here's the",
    "sure,",
    "certainly",
    "i hope this helps",
    "<think>",
    "<|im_",
)


def check(said: Said, asked: Check) -> Finding:
    """Run one check of a rubric. Raises TargetError for a kind or an argument that there is not."""
    function = CHECKS.get(asked.kind)
    if function is None:
        raise TargetError(f"no check {asked.kind!r}; there are {', '.join(sorted(CHECKS))}")
    try:
        return function(said, asked.arguments)
    except KeyError as missing:
        raise TargetError(f"check {asked.kind!r}: {missing} is missing") from None


def words(said: Said, given: Arguments) -> Finding:
    """At least and at most so many words."""
    return counted(len(_WORD.findall(said.text)), given, "words")


def items(said: Said, given: Arguments) -> Finding:
    """At least and at most so many lines that are items of a list, with bullets or numbers."""
    return counted(len(_ITEM.findall(said.text)), given, "list items")


def whole(said: Said, given: Arguments) -> Finding:
    """The text was written to its end, and its last sentence has one."""
    if said.finish == "length":
        return Finding(0.0, ("the text is cut off: num_predict was used up before its end",))
    if not _WHOLE.search(said.text):
        last = said.text.split()[-3:]
        return Finding(0.0, (f"the text is incomplete: it ends with '{' '.join(last)}'",))
    return MET


def clean(said: Said, given: Arguments) -> Finding:
    """No code fence, no placeholder, no words about the answer."""
    failures = []
    if _FENCE.search(said.text):
        failures.append("code fence in the text: none must be there")
    if found := _PLACEHOLDER.search(said.text):
        failures.append(f"placeholder left in the text: '{found[0]}'")
    low = said.text.lower()
    spoken = [phrase for phrase in _SPOKEN if phrase in (low if phrase[0] == "<" else low[:80])]
    if spoken:
        failures.append(f"must not contain words about the answer: '{spoken[0]}'")
    return Finding(max(0.0, 1 - len(failures) / 2), tuple(failures)) if failures else MET


def fresh(said: Said, given: Arguments) -> Finding:
    """Little of the text is copied from the prompt's own words: an example, or the instructions themselves.

    What the prompt was given to work on may be repeated; only runs of `run` words (5) that stand in the
    prompt and not in the facts count.
    """
    length = int(given.get("run", 5))
    theirs = runs(said.asked, length) - runs(said.facts, length)
    mine = listed_runs(said.text, length)
    share = sum(run in theirs for run in mine) / len(mine) if mine else 0.0
    most = float(given["most"])
    if share <= most:
        return MET
    first = next(run for run in mine if run in theirs)
    return Finding(
        max(0.0, 1 - share),
        (f"copied from the prompt's example or rules: {share:.0%} of the text, as in '{' '.join(first)}'",),
    )


def varied(said: Said, given: Arguments) -> Finding:
    """Little of the text says again what it said before: runs of four words."""
    mine = listed_runs(said.text, 4)
    share = 1 - len(set(mine)) / len(mine) if mine else 0.0
    if share <= float(given["most"]):
        return MET
    return Finding(max(0.0, 1 - share), (f"the text repeats itself: {share:.0%} of it was said before",))


def names(said: Said, given: Arguments) -> Finding:
    """At least so many of the words that matter are there; `in = "facts"`: in what the model was given."""
    where = str(given.get("in", "text"))
    wanted = known(said, given["words"])
    text = said.facts if where == "facts" else said.text
    missing = [word for word in wanted if word.lower() not in text.lower()]
    least = min(int(given.get("least", len(wanted))), len(wanted))
    found = len(wanted) - len(missing)
    if found >= least:
        return MET
    lost = "what the collector hands over" if where == "facts" else "the text"
    said_so = f"{lost} misses {', '.join(repr(word) for word in missing)}: names {found}, {least} are needed"
    return Finding(found / least, (said_so,))


def lines(said: Said, given: Arguments) -> Finding:
    """The lines are those that are expected, in their order."""
    wanted = known(said, given["expected"])
    found = [line.rstrip() for line in said.text.splitlines() if line.strip()]
    if found == wanted:
        return MET
    right = sum(one == other for one, other in zip(found, wanted, strict=False))
    longest = max(len(found), len(wanted), 1)
    return Finding(right / longest, (f"{right} of {len(wanted)} expected lines are right and in place",))


def holds(said: Said, given: Arguments) -> Finding:
    """Everything that is expected stands there word for word."""
    wanted = known(said, given["expected"])
    missing = [line for line in wanted if line not in said.text]
    if not missing:
        return MET
    return Finding(
        1 - len(missing) / len(wanted), (f"{len(missing)} of {len(wanted)} are missing, as '{missing[0]}'",)
    )


def hides(said: Said, given: Arguments) -> Finding:
    """None of the secrets stands there."""
    secrets = known(said, given["secrets"])
    leaked = [line for line in secrets if line in said.text.splitlines()]
    if not leaked:
        return MET
    said_so = f"{len(leaked)} of {len(secrets)} secrets leak from another section, as '{leaked[0]}'"
    return Finding(1 - len(leaked) / len(secrets), (said_so,))


def lacks(said: Said, given: Arguments) -> Finding:
    """None of the forbidden phrases stands there."""
    found = [phrase for phrase in known(said, given["phrases"]) if phrase.lower() in said.text.lower()]
    return Finding(0.0, (f"forbidden: '{found[0]}' leaks from another section",)) if found else MET


def front_matter(said: Said, given: Arguments) -> Finding:
    """The text begins with front matter that has these keys, each filled in, and goes on after it."""
    keys = [str(key) for key in given["keys"]]
    hit = re.match(r"---\n(.*?)\n---\n\s*\S", said.text, re.DOTALL)
    lacking = [
        key for key in keys if not hit or not re.search(rf"^{re.escape(key)}: *\S", hit[1], re.MULTILINE)
    ]
    if not lacking:
        return MET
    quoted = ", ".join(repr(key) for key in lacking)
    return Finding(1 - len(lacking) / len(keys), (f"front matter with the keys {quoted} is missing",))


def verdict(said: Said, given: Arguments) -> Finding:
    """Exactly one of these words is said."""
    wanted = known(said, given["words"])
    spoken = {word for word in wanted if re.search(rf"\b{re.escape(word)}\b", said.text)}
    if len(spoken) == 1:
        return MET
    choice = " or ".join(repr(word) for word in wanted)
    return Finding(0.0, (f"needs exactly one word of {choice}, has {len(spoken)}",))


def started(said: Said, given: Arguments) -> Finding:
    """The scripts start at most so many processes; met where nobody counted."""
    most = int(given["most"])
    if said.started is None or said.started <= most:
        return MET
    return Finding(
        most / said.started, (f"the scripts start {said.started} processes (forks), at most {most}",)
    )


CHECKS: Mapping[str, Callable[[Said, Arguments], Finding]] = {
    function.__name__: function
    for function in (
        *(clean, fresh, front_matter, hides, holds, items, lacks),
        *(lines, names, started, varied, verdict, whole, words),
    )
}


def counted(count: int, given: Arguments, what: str) -> Finding:
    """Whether a count lies between `least` and `most`; the nearer, the more is met."""
    least, most = int(given.get("least", 0)), given.get("most")
    if count < least:
        return Finding(count / least, (f"needs at least {least} {what}, has {count}",))
    if most is not None and count > int(most):
        return Finding(int(most) / count, (f"needs at most {most} {what}, has {count}",))
    return MET


def known(said: Said, given: object) -> list[str]:
    """A rubric's list, or the one that the judge knows of this vault by that name."""
    found = said.expected.get(given) if isinstance(given, str) else given
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise TargetError(f"expected.toml has no list {given!r}; a rubric asks for it")
    return [str(item) for item in found]


def listed_runs(text: str, length: int) -> list[tuple[str, ...]]:
    """Each run of so many words, in lower case; of a shorter text itself, where it has words."""
    found = [word.lower() for word in _WORD.findall(text)]
    if 0 < len(found) < length:
        return [tuple(found)]
    return [tuple(found[at : at + length]) for at in range(len(found) - length + 1)]


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    return set(listed_runs(text, length))
