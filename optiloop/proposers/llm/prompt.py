"""A brief as the prompt of a language model, within a budget of tokens. Effect: reads the target's template.

What is told of the log is bounded, so a prompt costs the same after ten thousand experiments as after ten.
Over budget it shrinks by rule, the cheapest loss first, and by whole lines, statements and files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optiloop.errors import ProposerError, TargetError
from optiloop.memory.lessons import NEWEST, line, near, told
from optiloop.model import Assignment, Brief, Compare, Lessons, Metric, Status
from optiloop.proposers.assignment import functions
from optiloop.proposers.llm.focus import Ask, sentence
from optiloop.proposers.llm.tokens import Count, count_tokens
from optiloop.proposers.llm.views import alone, blocks_of, nearest, needed, outline, window
from optiloop.untrusted import MOST, fenced, plain_line

if TYPE_CHECKING:
    from jinja2 import Environment

BUDGET = 8000
"""Tokens of a whole prompt."""
TEMPLATE = "brief.md.j2"
"""The template's name, here and in a target's folder."""
PARTS = (
    *("system", "goal", "metric", "source", "context"),
    *("history", "lessons", "diagnosis", "constraints", "answer"),
)
"""The template's blocks in the order of the prompt: the first is the system message, the rest the user's."""
SHARES: Mapping[str, float] = {"lessons": 0.15, "history": 0.1, "diagnosis": 0.1, "goal": 0.2}
"""The part of the budget that is left to each until the source must be shortened."""
AROUND = 16
"""Tokens that a chat's form puts around two messages."""

MOST_KEEPS, MOST_PLACES = 25, 12
LESSONS_OF_FUNCTION, KEEPS_OF_FUNCTION = 6, 3
"""What is told where one function is asked for: a small model reads little."""
_LINE = 90
"""Characters of a hypothesis."""
_MARKS = re.compile(r"^[ \t]*# \d+ lines? left out$\n?", re.MULTILINE)
_FAILED = frozenset({Status.GATE_FAILED, Status.CRASH, Status.VIOLATION})
_LANGUAGES = {"py": "python", "sh": "sh", "md": "markdown", "yml": "yaml"}


@dataclass(frozen=True)
class Part:
    """One part of a prompt: what it takes, and whether it was shortened to fit."""

    name: str
    tokens: int
    shortened: bool


@dataclass(frozen=True)
class Prompt:
    """What a model is sent. `ask` is what it asks: a file that is not shown whole is asked for in parts."""

    system: str
    user: str
    parts: tuple[Part, ...]
    ask: Ask

    @property
    def tokens(self) -> int:
        """Of all parts, and of a chat's form around them."""
        return AROUND + sum(part.tokens for part in self.parts)


@dataclass(frozen=True)
class Shown:
    """A file as it is shown."""

    path: str
    text: str
    shortened: bool = False

    @property
    def language(self) -> str:
        suffix = self.path.rpartition(".")[2] if "." in self.path else ""
        return _LANGUAGES.get(suffix, suffix)


def rendered(brief: Brief, ask: Ask, *, budget: int = BUDGET, count: Count = count_tokens) -> Prompt:
    """Write the prompt that asks `ask` upon `brief`, in `budget` tokens as `count` counts them.

    Raises ProposerError where even its smallest form is larger, TargetError where the target's own template
    is broken.
    """
    limit = budget
    while True:
        draft = _Draft(brief, ask, count)
        for step in _steps(brief, ask):
            if draft.tokens <= limit:
                break
            draft.shrink(step, limit)
        prompt = draft.prompt()
        if prompt.tokens <= budget:
            return prompt
        if draft.tokens > limit:
            raise ProposerError(
                f"the smallest prompt takes {prompt.tokens:,} tokens and the budget is {budget:,}: "
                f"raise it, or shorten the goal or {ask.path}"
            )
        limit -= prompt.tokens - budget  # the parts together take more than one by one


# --- shrinking ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One way to make a prompt smaller: forms of one part from the largest to the smallest.

    The first that fits is taken, else the last. `ask` is what is asked from then on.
    """

    part: str
    forms: Sequence[Callable[[], Any]]
    share: float = 0.0
    """The part need not become smaller than this share of the budget in this step."""


@dataclass
class _Draft:
    """A prompt on its way: what the template is given, and what each part takes."""

    brief: Brief
    ask: Ask
    count: Count
    values: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    shortened: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values = _facts(self.brief, self.ask)
        self.sizes = {part: self._size(part) for part in PARTS}

    @property
    def tokens(self) -> int:
        return AROUND + sum(self.sizes.values())

    def shrink(self, step: _Step, limit: int) -> None:
        """Take the largest form of a part with which all fits, or its smallest."""
        whole = self.sizes[step.part]
        others = self.tokens - whole
        room = max(limit - others, int(step.share * limit))
        low, high = 0, len(step.forms) - 1
        while low < high:
            middle = (low + high) // 2
            self._put(step.part, step.forms[middle]())
            low, high = (low, middle) if self.sizes[step.part] <= room else (middle + 1, high)
        if step.forms:
            self._put(step.part, step.forms[low]())
            self.shortened |= {step.part} if self.sizes[step.part] < whole else set()

    def _put(self, part: str, value: Any) -> None:
        self.values[_NAMES.get(part, part)] = value
        if part == "source":
            self._ask_for_parts(value)
        self.sizes[part] = self._size(part)

    def _ask_for_parts(self, files: Sequence[Shown]) -> None:
        """Ask for no more than is shown."""
        whole = not any(file.shortened for file in files if file.path == self.ask.path)
        if self.ask.kind == "file" and not whole:
            self.ask = replace(self.ask, kind="function" if self.ask.function else "edits")
        self.values.update(_asked(self.ask))
        self.sizes["answer"] = self._size("answer")

    def _size(self, part: str) -> int:
        text = self._text(part)
        return self.count(f"{text}\n\n") if text else 0

    def _text(self, part: str) -> str:
        return _block(self.brief.folder, part, self.values)

    def prompt(self) -> Prompt:
        texts = {part: self._text(part) for part in PARTS}
        system = texts.pop("system")
        user = "\n\n".join(text for text in texts.values() if text)
        there = [part for part in PARTS if self.sizes[part] or part in self.shortened]
        parts = tuple(Part(part, self.sizes[part], part in self.shortened) for part in there)
        excess = self.count(system) + self.count(user) - sum(part.tokens for part in parts)
        if excess > 0:
            last = parts[-1]
            parts = (*parts[:-1], replace(last, tokens=last.tokens + excess))
        return Prompt(system, user, parts, self.ask)


_NAMES = {"source": "files", "history": "keeps"}
"""What the template calls a part's value, where that is not its name."""


def _steps(brief: Brief, ask: Ask) -> Iterator[_Step]:
    """The ways to make a prompt smaller, the cheapest loss first."""
    lessons, keeps, said = _lessons(brief, ask), _keeps(brief, ask), _diagnosis(brief, ask)
    tellings = {
        "lessons": _fewer(lessons, newest_first=True),
        "history": _fewer(keeps),
        "diagnosis": _fewer(said, newest_first=True),
    }
    yield _Step("lessons", tellings["lessons"], SHARES["lessons"])
    yield _Step("context", _contexts(brief, ask))
    for part in ("history", "diagnosis"):
        yield _Step(part, tellings[part], SHARES[part])
    yield _Step("source", _sources(brief, ask)[:-1])
    for part in ("lessons", "history", "diagnosis"):
        yield _Step(part, tellings[part])
    yield _Step("source", _sources(brief, ask)[-1:])
    goal = _goal(brief).split("\n")
    for share in (SHARES["goal"], 0.0):
        yield _Step("goal", [partial(_head, goal, n) for n in range(len(goal), 0, -1)], share)


def _fewer(lines: Sequence[str], *, newest_first: bool = False) -> list[Callable[[], str]]:
    """All lines as data, then fewer: without the oldest ones, down to none."""

    def some(number: int) -> str:
        return _told(lines[:number] if newest_first else lines[len(lines) - number :])

    return [partial(some, number) for number in range(len(lines), -1, -1)]


def _head(lines: Sequence[str], number: int) -> str:
    left = len(lines) - number
    return "\n".join([*lines[:number], *([f"({left} lines left out)"] if left else [])])


def _contexts(brief: Brief, ask: Ask) -> list[Callable[[], tuple[Shown, ...]]]:
    """The files to read: whole, the largest ones in outline, the largest ones not at all."""
    if ask.kind == "function" or not brief.context:
        return []
    order = sorted(brief.context, key=lambda path: -len(brief.context[path]))

    def shown(outlined: int, gone: int) -> tuple[Shown, ...]:
        found = []
        for path, text in brief.context.items():
            rank = order.index(path)
            if rank >= gone:
                view = text if rank >= outlined else _outline(path, text)
                found.append(Shown(path, view, view != text))
        return tuple(found)

    number = len(order)
    forms = [*((n, 0) for n in range(number + 1)), *((number, n) for n in range(1, number + 1))]
    return [partial(shown, *form) for form in forms]


def _outline(path: str, text: str) -> str:
    """The signatures of Python, the first quarter of anything else."""
    return (
        outline(text)
        if path.endswith(".py")
        else window(text, max(1, blocks_of(text, path) // 4), 0, path=path)
    )


def _sources(brief: Brief, ask: Ask) -> list[Callable[[], tuple[Shown, ...]]]:
    """The editable files: whole; others in outline, or not at all; then less and less of the one asked for.

    Of a function the smallest form is the function alone, else one block.
    """
    text, asked = brief.source[ask.path], ask.function

    def shown(view: str, rest: str) -> tuple[Shown, ...]:
        return tuple(_files(brief, ask, view, rest))

    forms: list[Callable[[], tuple[Shown, ...]]] = []
    if ask.kind != "function" or asked is None:
        forms = [partial(shown, text, rest) for rest in ("whole", "outline", "")]
    if asked is not None and ask.path.endswith(".py"):
        if ask.kind != "function":
            names = nearest(text, asked)
            forms += [partial(_outlined, brief, ask, names[:count]) for count in range(len(names) - 1, 0, -1)]
        return [*forms, *(partial(shown, view(text, asked), "") for view in (needed, alone))]
    counts = range(blocks_of(text, ask.path) - 1, 0, -1)
    return [*forms, *(partial(_windowed, brief, ask, count) for count in counts)]


def _outlined(brief: Brief, ask: Ask, keep: Sequence[str]) -> tuple[Shown, ...]:
    """The file that is asked for with some functions whole."""
    return tuple(_files(brief, ask, outline(brief.source[ask.path], keep), ""))


def _windowed(brief: Brief, ask: Ask, count: int) -> tuple[Shown, ...]:
    """Some blocks of the file that is asked for; which ones, the seed says."""
    return tuple(_files(brief, ask, window(brief.source[ask.path], count, brief.seed, path=ask.path), ""))


def _files(brief: Brief, ask: Ask, view: str, rest: str) -> Iterator[Shown]:
    for path, text in brief.source.items():
        if path == ask.path:
            yield Shown(path, view, view != text)
        elif rest == "whole":
            yield Shown(path, text)
        elif rest:
            other = outline(text) if path.endswith(".py") else window(text, 0, 0, path=path)
            yield Shown(path, other, other != text)


# --- what is told ------------------------------------------------------------------------------------


def _goal(brief: Brief) -> str:
    """What is wanted; what the user says now comes first, for what is too long is cut at its end."""
    said = [f"The user says now: {brief.note}"] if brief.note else []
    return "\n".join([*said, brief.goal.strip()])


def _facts(brief: Brief, ask: Ask) -> dict[str, Any]:
    """All that the template is given, in its largest form."""
    metric, champion = brief.metric, brief.champion
    return {
        "goal": _goal(brief),
        "metric": metric,
        "champion": None if champion is None else repr(champion),
        "min_effect": _size_of(metric),
        "simplify": brief.simplify,
        "editable": [f"`{path}`" for path in brief.source],
        "files_per_change": brief.files_per_change,
        "files": next(iter(_sources(brief, ask)))(),
        "context": next((form() for form in _contexts(brief, ask)), ()),
        "keeps": _told(_keeps(brief, ask)),
        "lessons": _told(_lessons(brief, ask)),
        "diagnosis": _told(_diagnosis(brief, ask)),
        **_asked(ask),
    }


def _asked(ask: Ask) -> dict[str, Any]:
    return {"ask": ask, "idea": sentence(ask), "fence": f"```{Shown(ask.path, '').language}"}


def _size_of(metric: Metric) -> str:
    """The smallest gain that is kept, in words."""
    if metric.compare is Compare.DIFFERENCE:
        return f"{metric.min_effect!r} {metric.unit}".strip() if metric.min_effect else ""
    return f"{100 * metric.min_effect:.4g} %" if metric.min_effect else ""


def _told(lines: Sequence[str]) -> str:
    """Lines that programs or models wrote, marked as data; nothing of none."""
    return fenced("\n".join(lines)) if lines else ""


def _within(lines: Sequence[str]) -> list[str]:
    """The first lines that a fence holds whole."""
    room = MOST
    found = []
    for one in lines:
        room -= len(one) + 1
        if room < 0:
            break
        found.append(one)
    return found


def _keeps(brief: Brief, ask: Ask) -> list[str]:
    """A line for each of the newest keeps, oldest first; where a function is asked for, of those on it."""
    if ask.kind == "function":
        lessons = [it for it in brief.recall.at(ask.place, MOST_KEEPS) if it.status is Status.KEEP]
        lessons = lessons[-KEEPS_OF_FUNCTION:]
    else:
        lessons = list(brief.recall.keeps(MOST_KEEPS))
    return _within([line(it, brief.metric) for it in lessons])


def _lessons(brief: Brief, ask: Ask) -> list[str]:
    """What the log says of the place that is asked about, the most useful first."""
    there = Assignment(ask.path, ask.function or ask.setting, ask.idea)
    if ask.kind == "function" and brief.lessons is Lessons.DIGEST:
        return _within(list(near(brief.recall, there, brief.metric))[:LESSONS_OF_FUNCTION])
    places = [f"{path}::{it.name}" for path, text in brief.source.items() for it in functions(path, text)]
    lines = told(brief.recall, there, brief.metric, strategy=brief.lessons, places=places)
    return _within(lines[: LESSONS_OF_FUNCTION if ask.kind == "function" else None])


def _diagnosis(brief: Brief, ask: Ask) -> list[str]:
    """The profile, the last failure, and what the diagnose command printed, most useful first."""
    lines = []
    profile = sorted(brief.profile.items(), key=lambda item: -abs(item[1]))[:MOST_PLACES]
    if profile:
        lines += [
            "measured beside the metric:",
            *(f"  {plain_line(name, 80)} = {value!r}" for name, value in profile),
        ]
    near = brief.recall.at(ask.place, NEWEST) if ask.kind == "function" else brief.recall.latest(NEWEST)
    failed = next((lesson for lesson in reversed(near) if lesson.status in _FAILED), None)
    if failed is not None:
        lines.append(f"the last failure, {failed.status}: {plain_line(failed.hypothesis, _LINE)}")
        lines.append(f"  {plain_line(failed.reason)}")
    printed = brief.diagnosis.split("\n")[1:-1]
    if printed and ask.kind != "function":
        lines += ["the diagnose command printed:", *printed]
    return _within(lines)


# --- the template ------------------------------------------------------------------------------------


def _block(folder: Path, part: str, values: Mapping[str, Any]) -> str:
    """One block of the template: the target's own where it has one, which may say super()."""
    from jinja2 import TemplateError

    environment = _environment(folder)
    try:
        templates = [environment.get_template(f"optiloop/{TEMPLATE}")]
        if (folder / TEMPLATE).is_file():
            templates.insert(0, environment.get_template(TEMPLATE))
            if unknown := sorted(templates[0].blocks.keys() - set(PARTS)):
                raise TargetError(
                    f"{TEMPLATE}: no block is called {unknown[0]!r}; there are {', '.join(PARTS)}"
                )
        context = templates[0].new_context(dict(values))
        context.blocks[part] = [template.blocks[part] for template in templates if part in template.blocks]
        return "".join(context.blocks[part][0](context)).strip("\n")
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        line = getattr(error, "lineno", None)
        where = f"{TEMPLATE}, line {line}" if line else f"{TEMPLATE}, block {part}"
        raise TargetError(f"{where}: {plain_line(str(error), 200)}") from None


@lru_cache(maxsize=4)
def _environment(folder: Path) -> Environment:
    """Templates of the target's folder, and ours as `optiloop/...`; they cannot reach the program."""
    from jinja2 import ChoiceLoader, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    ours = PrefixLoader({"optiloop": PackageLoader("optiloop.proposers", "llm")})
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([ours, FileSystemLoader(folder)]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fence"] = _fence
    environment.filters["bare"] = _bare
    return environment


def _bare(text: str) -> str:
    """A shortened text without the lines that say so: a small model takes them for code."""
    return re.sub(r"\n{3,}", "\n\n\n", _MARKS.sub("", text)).strip("\n") + "\n"


def _fence(text: str, language: str = "") -> str:
    """A text in a fence of backticks that nothing in it ends."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}{language}\n{text.removesuffix(chr(10))}\n{mark}"
