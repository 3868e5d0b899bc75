"""What an experiment changed, as facts read from its diff, not from what was said about it. Pure.

A log without diffs (an imported one) has only words: then direction, numbers and names are read from them by
rule. Facts are cheap: a log of 100,000 lines is read in seconds.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from optiloop.diff import places_of
from optiloop.memory.entities import aliases_of, entities_in, entity_of
from optiloop.model import Experiment

MOST_FEATURES = 64
MOST_KNOBS = 16


class Way(StrEnum):
    """Which way something was changed."""

    UP = "up"
    DOWN = "down"
    SWAP = "swap"
    """From one thing to another that is neither more nor less."""
    ADD = "add"
    REMOVE = "remove"
    CHANGE = "change"
    """Changed, and nothing more is known."""


OPPOSITE = {Way.UP: Way.DOWN, Way.DOWN: Way.UP, Way.ADD: Way.REMOVE, Way.REMOVE: Way.ADD}


@dataclass(frozen=True)
class Knob:
    """A named value that was changed; None where it was not there before, or is gone."""

    name: str
    before: str | None
    after: str | None

    @property
    def way(self) -> Way:
        """Up or down where both are numbers, on and off as add and remove."""
        if self.before is None or self.after is None:
            return Way.CHANGE if self.before is self.after else Way.ADD if self.before is None else Way.REMOVE
        old, new = _number(self.before), _number(self.after)
        if old is None or new is None:
            switched = {("false", "true"): Way.ADD, ("true", "false"): Way.REMOVE}
            return switched.get((self.before.lower(), self.after.lower()), Way.SWAP)
        return Way.UP if new > old else Way.DOWN if new < old else Way.CHANGE


@dataclass(frozen=True)
class Facts:
    """What one experiment changed.

    `places` are `path::function` or a path. `features` are what came (+) and went (-) of calls, attributes,
    keywords and numbers. `entities` are what it was about, each with its way.
    """

    places: tuple[str, ...] = ()
    knobs: tuple[Knob, ...] = ()
    features: frozenset[str] = frozenset()
    entities: tuple[tuple[str, Way], ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place.partition("::")[0] for place in self.places))

    @property
    def isolated(self) -> bool:
        """Whether it changed one thing alone: one knob, or one place."""
        return len(self.knobs) == 1 if self.knobs else len(self.places) <= 1

    @property
    def setting(self) -> frozenset[str]:
        """What its knobs were set to, whatever they were before: equal for the same setting tried again."""
        return frozenset(f"{knob.name}={knob.after}" for knob in self.knobs)


def facts_of(experiment: Experiment) -> Facts:
    """The facts of one experiment: of its diff, or of its hypothesis where it has none."""
    aliases = aliases_of(experiment.tags)
    if experiment.diff:
        return of_diff(experiment.diff, aliases)
    return of_text(experiment.hypothesis, aliases)


def of_diff(diff: str, aliases: Mapping[str, str] | None = None) -> Facts:
    """What a unified diff changes. Entities are the knobs, else the functions, that it changes."""
    return replace(outline_of(diff, aliases), features=_features(*map("\n".join, _sides(diff))))


def outline_of(diff: str, aliases: Mapping[str, str] | None = None) -> Facts:
    """The same without the features, which cost as much as all the rest."""
    before, after = map(_values, _sides(diff))
    knobs = tuple(_knobs(before, after))[:MOST_KNOBS]
    places = places_of(diff)
    return Facts(places, knobs, frozenset(), _entities(knobs, places, aliases or {}))


def of_text(text: str, aliases: Mapping[str, str] | None = None) -> Facts:
    """What a sentence says was changed: "raise depth from 8 to 10", "DEPTH 8 -> 10", "add layers"."""
    knobs = tuple(_told_knobs(text))[:MOST_KNOBS]
    named = aliases or {}
    spoken = {
        named.get(knob.name.lower(), entity_of(knob.name)): knob.way
        if knob.before is not None
        else _way_at(text, text.find(knob.name))
        for knob in knobs
    }
    for entity, at in entities_in(text):
        spoken.setdefault(entity, _way_at(text, at))
    for name, entity in named.items():
        if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE):
            spoken.setdefault(entity, _way_at(text, 0))
    return Facts((), knobs, frozenset(), tuple(spoken.items()))


def alike(a: Facts, b: Facts) -> float:
    """How alike two changes are, 0 to 1: the share of their features that both have (Jaccard 1901).

    0 where their knobs are set to different values.
    """
    if a.setting != b.setting or not a.features or not b.features:
        return 0.0
    return len(a.features & b.features) / len(a.features | b.features)


def opposed(a: Facts, b: Facts) -> bool:
    """Whether two changes go opposite ways with one entity."""
    ways = dict(b.entities)
    return any(OPPOSITE.get(way) == ways.get(entity, Way.CHANGE) for entity, way in a.entities)


# --- diffs -------------------------------------------------------------------------------------------

_DIGITS = r"(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TEXT = r"\"[^\"\n]{0,60}\"|'[^'\n]{0,60}'"
_LITERAL = rf"[-+]?{_DIGITS}(?:[ \t]*\*\*?[ \t]*{_DIGITS})*|True|False|None|true|false|null|{_TEXT}"
_TYPE = r"(?::[ \t]*[\w.\[\], |]+?(?==))?"
_VALUE = re.compile(
    rf"(?:(?<![\w.])(?P<name>[A-Za-z_][\w.-]*+)[\"']?[ \t]*{_TYPE}[ \t]*(?:=(?![=])|:(?![=]))"
    rf"|(?<![\w-])(?P<flag>--?[A-Za-z][\w-]*)[= ])[ \t]*(?P<value>{_LITERAL})(?=[ \t]*(?:[,;)\]}}#\n]|$))",
    re.MULTILINE,
)
_LIKELY = re.compile(r"[=:][ \t]*(?:[-+.\d\"']|[Tt]rue|[Ff]alse|None|null)|-[A-Za-z]")
"""What a line has that _VALUE finds something in."""
_WENT, _CAME = re.compile(r"\n-(?!-- )(.*)"), re.compile(r"\n\+(?!\+\+ )(.*)")
_COMMENT_OR_TEXT = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|#[^\n]*|//[^\n]*")
_TOKEN = re.compile(
    r"(?P<call>[A-Za-z_]\w*)(?=\()|\.(?P<attr>[A-Za-z_]\w*)|@(?P<deco>[A-Za-z_][\w.]*)"
    r"|\b(?P<key>for|while|if|else|elif|try|except|with|yield|lambda|await|async|class|import|del|in|not|and|or"
    r"|break|continue|global)\b"
    r"|(?<![\w.])(?P<num>\d+\.?\d*(?:[eE][-+]?\d+)?)(?!\w)|(?P<op>//|\*\*|<<|>>|[%^~]|==|!=|<=|>=|[<>])"
)


def _sides(diff: str) -> tuple[list[str], list[str]]:
    """The lines that went and those that came, without their marks."""
    text = f"\n{diff}"
    return _WENT.findall(text), _CAME.findall(text)


def _values(lines: Iterable[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in filter(_LIKELY.search, lines):  # half the time, as few lines are
        for name, value in _values_in(line):
            found.setdefault(name, []).append(value)
    return found


@lru_cache(maxsize=8192)
def _values_in(line: str) -> Sequence[tuple[str, str]]:
    """Names and values of one line; a campaign takes the same lines out again and again."""
    return [(name or flag.lstrip("-"), value.strip("\"'")) for name, flag, value in _VALUE.findall(line)]


def _knobs(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> Iterator[Knob]:
    """Values that went and came under one name; what has no counterpart is code, unless it is a constant."""
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, []), after.get(name, [])
        if len(old) == 1 and len(new) == 1:
            if not _same(old[0], new[0]):
                yield Knob(name, old[0], new[0])
        elif name.isupper() and len(old) + len(new) == 1:
            yield Knob(name, old[0] if old else None, new[0] if new else None)


def _features(old: str, new: str) -> frozenset[str]:
    """What came and went, however often: independent of the names of variables and of the layout."""
    went, came = _tokens(old), _tokens(new)
    gone, come = (f"-{token}" for token in went - came), (f"+{token}" for token in came - went)
    return frozenset(sorted([*come, *gone])[:MOST_FEATURES])


def _tokens(lines: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for match in _TOKEN.finditer(_COMMENT_OR_TEXT.sub(_blank, lines)):
        kind = match.lastgroup or ""
        found[f"{kind}:{match[kind]}"] += 1
    return found


def _blank(match: re.Match[str]) -> str:
    """A text's place stays; a comment is nothing."""
    return "''" if match[0][0] in "\"'" else ""


def _entities(
    knobs: Sequence[Knob], places: Iterable[str], aliases: Mapping[str, str]
) -> tuple[tuple[str, Way], ...]:
    found: dict[str, Way] = {}
    for knob in knobs:
        named, way = aliases.get(knob.name.lower(), entity_of(knob.name)), knob.way
        found[named] = way if found.get(named, way) is way else Way.CHANGE
    if not found:
        for place in places:
            path, _, function = place.partition("::")
            found[aliases.get(function.lower(), function) or path] = Way.CHANGE
    return tuple(found.items())


# --- words -------------------------------------------------------------------------------------------

_NUM = r"[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[kKM%]?"
_TOLD = r"[A-Za-z_][\w.-]*(?: (?:rate|size|decay|length|ratio|frac|fraction|window|cap))?"
_FROM_TO = re.compile(
    rf"(?<![\w.])(?P<name>{_TOLD})\s*[:=(]?\s*(?:from\s+)?(?P<old>{_NUM})\s*(?:->|→|=>|to)\s*(?P<new>{_NUM})(?![\w.])"
)
_TO = re.compile(rf"(?<![\w.])(?P<name>{_TOLD})\s*(?:\bto\s|=)\s*(?P<new>{_NUM})(?![\w.])")
_UP = (
    "increase|raise|add|stack|more|deeper|wider|double|triple|higher|larger|bigger|longer|grow|boost|scale up"
)
_DOWN = "decrease|reduce|lower|halve|fewer|less|shallower|narrower|smaller|shorter|shrink|cut|scale down"
_GONE = "remove|drop|disable|without|no|turn off|delete"
_COME = "enable|use|introduce|turn on|with"
_SWAPPED = "replace|switch|swap|change"
_VERBS = re.compile(
    rf"\b(?:(?P<up>(?:{_UP})(?:d|s|es|ed|ing)?)|(?P<down>(?:{_DOWN})(?:d|s|es|ed|ing)?)"
    rf"|(?P<remove>(?:{_GONE})(?:d|s|es|ed|ing)?)|(?P<add>(?:{_COME})(?:d|s|es|ing)?)"
    rf"|(?P<swap>(?:{_SWAPPED})(?:d|s|es|ed|ing)?))\b",
    re.IGNORECASE,
)
_WAYS = {"up": Way.UP, "down": Way.DOWN, "remove": Way.REMOVE, "add": Way.ADD, "swap": Way.SWAP}


def _told_knobs(text: str) -> Iterator[Knob]:
    seen = set()
    for match in _FROM_TO.finditer(text):
        name = _last_name(match["name"])
        if name and name not in seen:
            seen.add(name)
            yield Knob(name, _plain(match["old"]), _plain(match["new"]))
    for match in _TO.finditer(text):
        name = _last_name(match["name"])
        if name and name not in seen:
            seen.add(name)
            yield Knob(name, None, _plain(match["new"]))


def _last_name(told: str) -> str:
    """A name that can be a knob's; empty for a verb or a small word before a number."""
    word = told.strip().replace(" ", "_")
    return "" if word.lower() in _NO_NAMES or _VERBS.fullmatch(word) else word


_NO_NAMES = frozenset(
    {"from", "to", "by", "at", "of", "in", "is", "was", "and", "or", "the", "a", "for", "with", "it", "than"}
    | {"x", "ratio", "now", "step", "steps"}
)


def _plain(number: str) -> str:
    """A number without separators: 65_536 and 65,536 and 65536 are one, 64K is 65536 written otherwise."""
    return number.replace(",", "").replace("_", "")


def _way_at(text: str, at: int) -> Way:
    """The way of the verb nearest before a word, else of the first after it."""
    verbs = list(_VERBS.finditer(text))
    before = [verb for verb in verbs if verb.start() <= at]
    verb = before[-1] if before else verbs[0] if verbs else None
    return Way.CHANGE if verb is None or verb.lastgroup is None else _WAYS[verb.lastgroup]


@lru_cache(maxsize=4096)
def _number(text: str) -> float | None:
    """The value of a number as people write it: 1e-4, 64K, 5 %, 2**19, 64 * 1024; None of anything else."""
    scale = {"k": 1e3, "K": 1e3, "M": 1e6, "%": 0.01}.get(text[-1:], 1.0)
    product = scale
    try:
        for factor in text.rstrip("kKM%").replace("_", "").replace("**", "^").split("*"):
            base, _, power = factor.partition("^")
            product *= float(base) ** float(power or 1)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return product if isinstance(product, float) else None  # a root of a negative number is complex


def _same(a: str, b: str) -> bool:
    """Whether two wordings are one value: 1e-4 and 0.0001 are, 1 and 1.0 are not told apart."""
    return a == b or (_number(a) is not None and _number(a) == _number(b))


def fits(value: str, test: str, wanted: str) -> bool:
    """Whether a value passes a test (`=`, `!=`, `<`, `<=`, `>`, `>=`); no order where one is no number."""
    if test in ("=", "!="):
        return _same(value, wanted) == (test == "=")
    a, b = _number(value), _number(wanted)
    return a is not None and b is not None and _ORDER[test](a, b)


_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def size_of(value: str) -> float | None:
    """What a value is worth as a number, as people write it: 1e-4, 64K, 5 %, 2**19; None of anything else."""
    return _number(value)
