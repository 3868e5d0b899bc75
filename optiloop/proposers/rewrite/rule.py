"""What a rewrite rule is: a language, a name, an expected gain, and a function from a text to sites. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Edit:
    """Replace the characters from `start` to `end` by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Site:
    """One place to change: the function it is in ("" for none), its line from 1, what is done, and how.

    `what` is half a sentence that a person understands, as in "membership in a list -> in a set".
    """

    function: str
    line: int
    what: str
    whole: str = field(repr=False)
    edits: tuple[Edit, ...]

    @cached_property
    def text(self) -> str:
        """The new text of the file. Raises ValueError where edits overlap."""
        return apply(self.whole, self.edits)


@dataclass(frozen=True)
class Language:
    """A kind of text: which files are written in it, by path and text, and what rules get to see of one.

    `parse` raises SyntaxError or ValueError where the text is of another kind, or cannot be read with
    certainty; rules then leave it alone.
    """

    name: str
    holds: Callable[[str, str], bool]
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class Heard(Generic[T]):
    """A parsed text, and what a failed check said of the task that it belongs to."""

    seen: T
    said: str


@dataclass(frozen=True)
class Rule:
    """One kind of rewriting. `sites` tells every place of a parsed text it would change, each on its own.

    Its docstring holds the idea, what it does to the complexity, and the source. It is pure: the same text
    gives the same sites. `gain` is how many times faster (or smaller) a typical site became where it was
    `measured`, or else a guess: the rule's rank before the log knows it. `package` is who brought it; empty
    for our own. A rule with `answers` is only asked where a diagnosis says that a check failed, in words that
    this pattern is found in; its `sites` takes a `Heard`.
    """

    name: str
    language: Language
    gain: float
    sites: Callable[[Any], Iterable[Site]]
    package: str = ""
    measured: bool = True
    answers: str = ""

    @property
    def idea(self) -> str:
        """The first sentence of its docstring."""
        return " ".join((self.sites.__doc__ or "").strip().partition("\n\n")[0].split())


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Make all edits at once; of two at one place the first given comes first in the text."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise ValueError(f"edits overlap at character {edit.start}: a rule replaced one place twice")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join(parts) + text[at:]
