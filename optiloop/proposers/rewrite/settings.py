"""Rules that turn one setting of a task: its model, what it may write, how it is read. Pure.

TOML, YAML and JSON are changed in place: a value, a line or an item of a list, found by its shape and
believed only when the file, read again, differs in just that. Comments and layout stay.
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from optiloop.proposers.rewrite.rule import Edit, Heard, Language, Rule, Site, apply
from optiloop.proposers.rewrite.texts import read_yaml

Path = tuple[Any, ...]

_ROOM = re.compile(r"(?:num|n|max|max_new|max_output|max_completion)_(?:predict|tokens)", re.IGNORECASE)
_HEAT = re.compile(r"temperature", re.IGNORECASE)
_THINK = re.compile(r"(?:enable_)?(?:think|thinking|reasoning)", re.IGNORECASE)
_MODEL = re.compile(r"model", re.IGNORECASE)
_POOL = re.compile(r"(?:model_?)?(?:models|pool|candidates|fallbacks)", re.IGNORECASE)
_POST = re.compile(r"post(?:_?process(?:or)?)?|filter|cleanup", re.IGNORECASE)
_LIMIT = re.compile(r"(?:\w*_)?(?:lines|limit|head|tail|items|entries|notes|window|last|top)", re.IGNORECASE)
_VALUE = r"(?:\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,#\]}\"'\[{][^\n,#\]}]*?)(?=[ \t]*(?:[,\]}\n#]|$))"
MOST_ROOM, LEAST_ROOM = 4096, 16
MOST_LINES, LEAST_LINES = 10_000, 5


@dataclass(frozen=True)
class Settings:
    """A settings file: its text, its form (toml, json or yaml), and what it says when it is read."""

    text: str
    form: str
    said: Any

    def found(self, key: re.Pattern[str]) -> Iterator[tuple[Path, Any]]:
        """Each value, lists included, under a key that fits the pattern."""
        for path, value in _values(self.said, ()):
            if isinstance(path[-1], str) and key.fullmatch(path[-1]):
                yield path, value

    def with_value(self, path: Path, value: object) -> Edit | None:
        """The edit that sets one value; None where no place of the text is surely that."""
        last = re.escape(str(path[-1]))
        expected = _set(self.said, path, value)
        for hit in re.finditer(rf"(?m)[\"']?\b{last}[\"']?[ \t]*[:=][ \t]*({_VALUE})", self.text):
            edit = Edit(hit.start(1), hit.end(1), _written(value))
            if self._gives(edit, expected):
                return edit
        return None

    def with_line(self, beside: Path, key: str, value: object) -> Edit | None:
        """The edit that adds a key in the table of another, on a line of its own below that."""
        expected = _set(self.said, (*beside[:-1], key), value)
        last = re.escape(str(beside[-1]))
        for hit in re.finditer(rf"(?m)^([ \t]*)([\"']?){last}\2[ \t]*[:=][^\n]*(?:\n|$)", self.text):
            sign = {"toml": " = ", "json": ": ", "yaml": ": "}[self.form]
            name = f'"{key}"' if self.form == "json" else key
            comma = "," if self.form == "json" else ""
            line = f"{hit[1]}{name}{sign}{_written(value)}{comma}\n"
            edit = Edit(hit.start(), hit.start(), line)
            if self._gives(edit, expected):
                return edit
        return None

    def without_item(self, path: Path, index: int) -> Edit | None:
        """The edit that drops one item of a list, with its comma or its line."""
        items = _at(self.said, path)
        expected = _set(self.said, path, [*items[:index], *items[index + 1 :]])
        word = re.escape(str(items[index]))
        spans = (
            rf"(?m)^[ \t]*-[ \t]*[\"']?{word}[\"']?[ \t]*(?:#[^\n]*)?\n",
            rf"(?m)^[ \t]*[\"']?{word}[\"']?[ \t]*,?[ \t]*(?:#[^\n]*)?\n",
            rf"[\"']?{word}[\"']?[ \t]*,[ \t]*",
            rf",\s*[\"']?{word}[\"']?",
        )
        for span in spans:
            for hit in re.finditer(span, self.text):
                edit = Edit(hit.start(), hit.end(), "")
                if self._gives(edit, expected):
                    return edit
        return None

    def _gives(self, edit: Edit, expected: object) -> bool:
        try:
            given = _READERS[self.form](apply(self.text, [edit]))
        except ValueError:
            return False
        return bool(given == expected) and _kinds(given) == _kinds(expected)

    def site(self, edit: Edit | None, what: str) -> Iterator[Site]:
        """The site of an edit; none where there is no edit."""
        if edit is not None:
            yield Site("", self.text.count("\n", 0, edit.start) + 1, what, self.text, (edit,))


_READERS: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": read_yaml}


def _parse(text: str) -> Settings:
    for form, read in _READERS.items():
        try:
            said = read(text)
        except ValueError:
            continue
        if isinstance(said, dict):
            return Settings(text, form, said)
    raise ValueError("no settings: neither JSON, TOML nor YAML")


SETTINGS = Language("settings", lambda path, text: path.endswith((".toml", ".json", ".yaml", ".yml")), _parse)


def _values(said: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    items = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in items:
        if not isinstance(value, dict):
            yield (*path, key), value
        yield from _values(value, (*path, key))


def _at(said: Any, path: Path) -> Any:
    for key in path:
        said = said[key]
    return said


def _set(said: Any, path: Path, value: object) -> Any:
    changed = copy.deepcopy(said)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _kinds(said: Any) -> dict[Path, type]:
    """1, 1.0 and true are equal, and not the same."""
    return {path: type(value) for path, value in _values(said, ())}


def _written(value: object) -> str:
    """A value as a literal that all three forms read alike."""
    return json.dumps(value, ensure_ascii=False)


# --- the rules ---------------------------------------------------------------------------------------


def more_room(settings: Heard[Settings]) -> Iterator[Site]:
    """Let the model write on: twice what it may, or four times.

    An output that is cut passes no check of its end. Source: the vault's "num_predict that truncates"; from
    40 to 140 tokens took three small models from .08 to .56, .51 and .13.
    """
    yield from _numbers(settings.seen, _ROOM, (2, 4), MOST_ROOM)


def less_room(settings: Heard[Settings]) -> Iterator[Site]:
    """Let the model write less: half of what it may.

    What is not written is not wrong, and costs no time. Source: the vault's num_predict knob, downwards.
    """
    yield from _numbers(settings.seen, _ROOM, (0.5,), LEAST_ROOM)


def widen_limit(settings: Heard[Settings]) -> Iterator[Site]:
    """Let more of the input through: a limit five times as wide.

    What is cut off before the model reads it cannot be in its answer. Source: the vault's `head -10` that
    hid every trend.
    """
    yield from _numbers(settings.seen, _LIMIT, (5,), MOST_LINES)


def narrow_limit(settings: Heard[Settings]) -> Iterator[Site]:
    """Let less of the input through: a quarter of a limit.

    What overflows the context pushes the instructions out of it. Source: the vault's "context overflow by
    too many lines".
    """
    yield from _numbers(settings.seen, _LIMIT, (0.25,), LEAST_LINES)


def _numbers(settings: Settings, key: re.Pattern[str], factors: Sequence[float], end: int) -> Iterator[Site]:
    """Each whole number under a key, times each factor, not beyond the end."""
    for path, value in settings.found(key):
        for factor in factors:
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                continue
            new = round(value * factor)
            if (new <= end) if factor > 1 else (new >= end):
                what = f"{_dotted(path)}: {value} -> {new}"
                yield from settings.site(settings.with_value(path, new), what)


def cooler(settings: Heard[Settings]) -> Iterator[Site]:
    """Draw less at random: temperature 0.

    A form is kept better, and the same input gives the same output. Source: the vault's temperature knob.
    """
    yield from _heat(settings.seen, 0.0)


def warmer(settings: Heard[Settings]) -> Iterator[Site]:
    """Draw more at random: temperature 0.7.

    A model that copies or repeats itself leaves its rut. Source: the vault's temperature knob.
    """
    yield from _heat(settings.seen, 0.7)


def _heat(settings: Settings, aim: float) -> Iterator[Site]:
    for path, value in settings.found(_HEAT):
        if isinstance(value, int | float) and not isinstance(value, bool) and value != aim:
            what = f"{_dotted(path)}: {value} -> {aim}"
            yield from settings.site(settings.with_value(path, aim), what)


def no_think(settings: Heard[Settings]) -> Iterator[Site]:
    """Tell a model that thinks aloud not to: switch thinking off, or add the switch.

    Thoughts use up what it may write. Source: the vault's no-think flag.
    """
    known = list(settings.seen.found(_THINK))
    for path, value in known:
        if value is True:
            yield from settings.seen.site(settings.seen.with_value(path, False), f"{_dotted(path)}: off")
    if not known:
        for path, value in settings.seen.found(_MODEL):
            if isinstance(value, str):
                edit = settings.seen.with_line(path, "think", False)
                yield from settings.seen.site(edit, "think = false added")


def swap_model(settings: Heard[Settings]) -> Iterator[Site]:
    """Ask another model: one of those that the file names in a pool or as choices.

    Models differ by task more than by size. Source: the vault's two model choices.
    """
    seen = settings.seen
    pooled = [item for _, value in seen.found(_POOL) if isinstance(value, list) for item in value]
    for path, value in seen.found(_MODEL):
        named = re.search(rf"{re.escape(str(path[-1]))}[^\n]*#[^\n]*choices:\s*([^\n]+)", seen.text)
        choices = [word.strip().strip("\"'") for word in named[1].split(",")] if named else []
        for other in dict.fromkeys([*choices, *pooled]):
            if isinstance(value, str) and isinstance(other, str) and other != value:
                what = f"{_dotted(path)}: {value} -> {other}"
                yield from seen.site(seen.with_value(path, other), what)


def drop_model(settings: Heard[Settings]) -> Iterator[Site]:
    """Drop one model from a pool, the one that the check names first.

    A pool is as good as its worst answer. Source: the vault's "wrong model in the pool".
    """
    for path, value in settings.seen.found(_POOL):
        models = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
        if len(models) < 2 or len(models) < len(value):
            continue
        for model in sorted(models, key=lambda model: (model not in settings.said, model)):
            edit = settings.seen.without_item(path, models.index(model))
            yield from settings.seen.site(edit, f"{_dotted(path)}: without {model}")


def use_script(settings: Heard[Settings]) -> Iterator[Site]:
    """Have the output put right by a script: name one where the key for it is empty.

    A rule in a prompt is heeded now and then, a program each time. Source: the vault's "a post-processor that
    is missing".
    """
    for path, value in settings.seen.found(_POST):
        if value == "":
            edit = settings.seen.with_value(path, f"{path[-1]}.sh")
            yield from settings.seen.site(edit, f"{_dotted(path)}: none -> {path[-1]}.sh")


def _dotted(path: Path) -> str:
    return ".".join(str(key) for key in path)


UNPOLISHED = r"fence|```|placeholder|front[ -]?matter|think|words about|preamble"
CUT = r"truncat|cut (?:off|short)|unfinished|complete|mid-?sentence|too short|\bends?\b"
HIDDEN = r"miss|hid|trend|not nam|names? (?:none|no)|lost|empty|never mention|head"
FLOODED = r"overflow|context|too many|exceed|does not fit|too long"
UNSTEADY = r"differ|unstable|invent|made up|format|json|not in the"

# Ranks: none was measured on more than one task.
RULES = (
    Rule("more-room", SETTINGS, 2.8, more_room, measured=False, answers=CUT),
    Rule("widen-limit", SETTINGS, 1.9, widen_limit, measured=False, answers=HIDDEN),
    Rule("narrow-limit", SETTINGS, 2.1, narrow_limit, measured=False, answers=FLOODED),
    Rule("no-think", SETTINGS, 1.7, no_think, measured=False, answers=r"think|thought|reason"),
    Rule("use-script", SETTINGS, 3.3, use_script, measured=False, answers=UNPOLISHED),
    Rule("drop-model", SETTINGS, 2.3, drop_model, measured=False, answers=r"\w"),
    Rule("swap-model", SETTINGS, 1.3, swap_model, measured=False, answers=r"\w"),
    Rule(
        "less-room", SETTINGS, 1.2, less_room, measured=False, answers=r"too long|ramble|repeat|at most|slow"
    ),
    Rule("cooler", SETTINGS, 1.15, cooler, measured=False, answers=UNSTEADY),
    Rule("warmer", SETTINGS, 1.1, warmer, measured=False, answers=r"repeat|copied|verbatim|same"),
)
