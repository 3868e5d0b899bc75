"""Knobs and the proposer that turns them."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from optiloop.errors import UsageError
from optiloop.knobs import Choices, Knob, Range, Value, _only_change, find, replace, replace_all
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.model import (
    Brief,
    Command,
    Cost,
    Direction,
    Lesson,
    Metric,
    Proposal,
    Spent,
    Status,
)
from optiloop.proposers.tune import Tune, _loss, _study

PYTHON = '''"""Ein Döcstring."""
é = "ü"; RATE = 0.02  # range: 0.005..0.1 log
HEADS: int = 4  # range: 1..16
MODE = "fäst"  # choices: fäst, exact
FLAG = True
ZERO = 0
SHIFT = -1.5  # range: -2..2
class Config:
    WIDTH = 64
    n: int = (3)  # range: 1..5 (layers)
'''
TOML = """
title = "x 32"  # 32 is no knob
day = 2024-01-01
[model]
lr = 1e-3  # range: 0.0001..0.1 log
layers = 12
on = true
mode = "a"   # choices: a, b
sizes = [1, 2,
  3,  # range: 1..10
]
"""
YAML = """
a: 1
b: {c: 2.5, d: [true, x]}
mode: fast  # choices: fast, slow
lr: 1.0e-3
7: y
"""
JSON = '{"a": 1, "b": {"c": [0.5, "7", true, null]}, "seed": 3}'


def named(path: str, text: str) -> dict[str, Knob]:
    return {knob.name: knob for knob in find(path, text)}


# --- finding -----------------------------------------------------------------------------------------


def test_python_constants_and_their_annotations() -> None:
    knobs = named("a.py", PYTHON)
    assert {name: knob.value for name, knob in knobs.items()} == {
        "RATE": 0.02,
        "HEADS": 4,
        "MODE": "fäst",
        "FLAG": True,
        "SHIFT": -1.5,
        "Config.WIDTH": 64,
        "Config.n": 3,
    }
    assert knobs["RATE"].domain == Range(0.005, 0.1, log=True)
    assert knobs["HEADS"].domain == Range(1, 16)
    assert knobs["MODE"].domain == Choices(("fäst", "exact"))
    assert knobs["FLAG"].domain == Choices((False, True))
    assert knobs["Config.WIDTH"].domain == Range(16, 256, log=True)
    assert [PYTHON[k.start : k.end] for k in knobs.values()][:3] == ["0.02", "4", '"fäst"']


def test_toml_yaml_and_json_leaves_have_dotted_names() -> None:
    assert {name: k.value for name, k in named("a.toml", TOML).items()} == {
        "model.lr": 0.001,
        "model.layers": 12,
        "model.on": True,
        "model.mode": "a",
        "model.sizes.0": 1,
        "model.sizes.1": 2,
        "model.sizes.2": 3,
    }
    yaml_values = {name: k.value for name, k in named("a.yaml", YAML).items()}
    assert yaml_values == {"a": 1, "b.c": 2.5, "b.d.0": True, "mode": "fast", "lr": 0.001}
    assert {name: k.value for name, k in named("a.json", JSON).items()} == {
        "a": 1,
        "b.c.0": 0.5,
        "b.c.2": True,
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "lower = 3\n"),
        ("a.py", "SEED = 42\nRANDOM_SEED = 3\nVERSION = 2\n"),
        ("a.py", "A = 1\nA = 2\n"),
        ("a.py", "A = 2**19\nB = [1]\nC = f()\nD = None\nE = b'x'\n"),
        ("a.py", "A = 0\nB = 0.0\nC = -3\nS = 'text'\n"),
        ("a.py", "A = 1  # range: 5..2\n"),
        ("a.py", "A = 1  # range: 0..2 log\n"),
        ("a.py", "A = 1  # range: low..high\n"),
        ("a.py", "A = True  # choices: maybe, never\n"),
        ("a.py", "A = 1  # choices: 1\n"),
        ("a.py", "def f():\n    WIDTH = 3\n"),
        ("a.py", "A = (\n"),
        ("a.py", "A = 1\0"),
        ("a.py", "A = " + "(" * 10_000),
        ("a.toml", "a = "),
        ("a.toml", 's = "lr = 3"\n# a = 4\n'),
        ("a.yaml", "a: &x 3\nb: *x\n"),
        ("a.yaml", "a: !thing 3\n"),
        ("a.yaml", "- 1\n---\n- 2\n"),
        ("a.yaml", "1: x\nday: 2024-01-01\ntext: v1.2.3\n"),
        ("a.json", "[" * 10_000),
        ("a.json", '{"a": "1", "b": null}'),
        ("a.txt", "A = 1\n"),
        ("Makefile", "A = 1\n"),
    ],
)
def test_no_knob(path: str, text: str) -> None:
    assert find(path, text) == ()


def test_a_seed_is_a_knob_only_when_annotated() -> None:
    assert named("a.py", "SEED = 42  # range: 1..99\n")["SEED"].domain == Range(1, 99)


def test_an_integer_with_a_fractional_range_is_a_float() -> None:
    knob = named("a.py", "RATE = 1  # range: 0.1..10 log\n")["RATE"]
    assert isinstance(knob.value, float)
    assert replace("RATE = 1  # range: 0.1..10 log\n", knob, 2.0) == "RATE = 2.0  # range: 0.1..10 log\n"


def test_a_probe_that_changes_two_leaves_proves_nothing() -> None:
    before = {("a",): 3, ("b",): 3}
    assert _only_change(before, {("a",): 9, ("b",): 3}, 9) == ("a",)
    assert _only_change(before, {("a",): 9, ("b",): 9}, 9) is None
    assert _only_change(before, {("a",): 9}, 9) is None
    assert _only_change(before, {("a",): "9", ("b",): 3}, 9) is None


def test_a_yaml_bomb_is_no_file_of_settings() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert find("a.yaml", "l0: &l0 [7]\n" + "\n".join(levels)) == ()


def test_a_file_of_data_has_only_its_annotated_knobs() -> None:
    text = "weights = [\n" + "  7,\n" * 500 + "]\nlr = 0.1  # range: 0.01..1 log\n"
    assert list(named("a.toml", text)) == ["lr"]


# --- replacing ---------------------------------------------------------------------------------------

LOADERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "a.toml": (TOML, tomllib.loads),
    "a.yaml": (YAML, yaml.safe_load),
    "a.json": (JSON, json.loads),
}
new_values = (
    st.floats(-1e300, 1e300)
    | st.integers(-(2**60), 2**60)
    | st.booleans()
    | st.text("aé\"'\\\n\t=#", max_size=6)
)


@given(new_values, st.sampled_from(list(LOADERS)), st.integers(0, 99))
def test_replacing_changes_that_leaf_and_no_other_character(value: Value, path: str, pick: int) -> None:
    text, load = LOADERS[path]
    knob = find(path, text)[pick % len(find(path, text))]
    after = replace(text, knob, value)
    assert after.startswith(text[: knob.start])
    assert after.endswith(text[knob.end :])
    leaves, changed = leaves_of(load(text)), leaves_of(load(after))
    assert changed.pop(knob.name) == value
    del leaves[knob.name]
    assert changed == leaves


def leaves_of(document: object, path: str = "") -> dict[str, object]:
    if isinstance(document, Mapping):
        members = document.items()
    elif isinstance(document, list):
        members = enumerate(document)  # type: ignore[assignment]
    else:
        return {path: document}
    return {k: v for key, value in members for k, v in leaves_of(value, f"{path}.{key}".strip(".")).items()}


@given(new_values, st.integers(0, 99), st.text("aé𝄞\r\n\x0c\u2028 #", max_size=9))
def test_replacing_in_python_keeps_all_other_constants(value: Value, pick: int, comment: str) -> None:
    text = (
        f"# {comment}\n{PYTHON}"
        if "\r" not in comment and "\n" not in comment
        else f'"""{comment}"""\n{PYTHON}'
    )
    knobs = find("a.py", text)
    knob = knobs[pick % len(knobs)]
    after = replace(text, knob, value)
    assert after[: knob.start] == text[: knob.start]
    assert after[len(after) - len(text) + knob.end :] == text[knob.end :]
    namespace: dict[str, object] = {}
    exec(after, namespace)
    owner, _, name = knob.name.rpartition(".")
    assert (vars(namespace[owner])[name] if owner else namespace[name]) == value


def test_several_knobs_are_set_at_once() -> None:
    knobs = named("a.json", JSON)
    assert json.loads(replace_all(JSON, {knobs["a"]: 1000, knobs["b.c.0"]: 0.25})) == {
        "a": 1000,
        "b": {"c": [0.25, "7", True, None]},
        "seed": 3,
    }


# --- the proposer ------------------------------------------------------------------------------------


@dataclass
class FakeRecall:
    """A log in a list."""

    lessons: list[Lesson] = field(default_factory=list)

    def result(self, fingerprint: str) -> Lesson | None:
        return self._last(lambda lesson: lesson.result == fingerprint)

    def change(self, fingerprint: str) -> Lesson | None:
        return self._last(lambda lesson: lesson.change == fingerprint)

    def tagged(self, tag: str) -> Lesson | None:
        return self._last(lambda lesson: tag in lesson.tags)

    def spent(self, origin: str, family: str | None = None) -> Spent:
        return Spent()

    def latest(self, count: int) -> tuple[Lesson, ...]:
        return tuple(self.lessons[-count:])

    def diff(self, experiment: str) -> str:
        return ""

    def _last(self, wanted: Callable[[Lesson], bool]) -> Lesson | None:
        return next((lesson for lesson in reversed(self.lessons) if wanted(lesson)), None)


@dataclass
class FakeLoop:
    """Keeps what `score` calls better; a score of None is a failed gate."""

    source: dict[str, str]
    score: Callable[[Mapping[str, str]], float | None]
    direction: Direction = Direction.MINIMIZE
    recall: FakeRecall = field(default_factory=FakeRecall)
    tune: Tune = field(default_factory=Tune)

    def brief(self, seed: int) -> Brief:
        metric = Metric("loss", Command("true"), direction=self.direction)
        champion = self.score(self.source)
        return Brief("", dict(self.source), metric, self.recall, seed, Path(), champion=champion)

    def cycle(self, seed: int) -> Proposal | None:
        brief = self.brief(seed)
        proposal = self.tune.propose(brief)
        if proposal is None:
            return None
        after = {**self.source, **proposal.edits}
        assert self.recall.result(result_fingerprint(after)) is None
        champion, value = self.score(self.source), self.score(after)
        assert champion is not None
        effect = None if value is None else (champion / value) ** self.direction.sign
        kept = effect is not None and effect > 1
        status = Status.KEEP if kept else Status.DISCARD if effect else Status.GATE_FAILED
        self.recall.lessons.append(lesson(proposal, after, status, champion, effect))
        if kept:
            self.source = after
        return proposal


def lesson(
    proposal: Proposal, after: Mapping[str, str], status: Status, champion: float, effect: float | None
) -> Lesson:
    return Lesson(
        id=str(id(proposal)),
        status=status,
        origin=proposal.origin,
        family=proposal.family,
        hypothesis=proposal.hypothesis,
        reason="",
        result=result_fingerprint(after),
        change=None,
        tags=proposal.tags,
        parent="",
        champion=champion,
        effect=effect,
        seconds=1.0,
        cost=Cost(),
    )


def values_of(source: Mapping[str, str]) -> dict[str, Value]:
    return {knob.name: knob.value for path, text in source.items() for knob in find(path, text)}


BOWL = """
RATE = 0.001  # range: 0.0001..1 log
DECAY = 0.5   # range: 0.0001..1 log
MODE = "slow" # choices: slow, middling, fast
"""


def bowl(values: Mapping[str, Value]) -> float:
    """Best at RATE 0.05, DECAY 0.01, MODE fast."""
    rate, decay, mode = values["RATE"], values["DECAY"], values["MODE"]
    assert not isinstance(rate, str)
    assert not isinstance(decay, str)
    penalty = {"slow": 1.0, "middling": 0.5, "fast": 0.0}[str(mode)]
    return 1.0 + penalty + math.log10(rate / 0.05) ** 2 + math.log10(decay / 0.01) ** 2


def best_random(budget: int, seed: int) -> float:
    chance = random.Random(seed)
    return min(
        bowl({"RATE": 10 ** chance.uniform(-4, 0), "DECAY": 10 ** chance.uniform(-4, 0), "MODE": mode})
        for mode in chance.choices(["slow", "middling", "fast"], k=budget)
    )


@pytest.mark.parametrize("direction", list(Direction))
def test_it_finds_the_optimum_better_than_random(direction: Direction) -> None:
    budget, runs = 40, 5
    tuned, drawn = [], []
    for run in range(runs):
        loop = FakeLoop({"a.py": BOWL}, lambda source: bowl(values_of(source)) ** direction.sign, direction)
        for seed in range(budget):
            loop.cycle(run * 1000 + seed)
        tuned.append(bowl(values_of(loop.source)) - 1)
        drawn.append(best_random(budget, run) - 1)
    assert sorted(tuned)[runs // 2] < sorted(drawn)[runs // 2] / 3
    assert max(tuned) < 0.1


def test_it_first_turns_one_knob_at_a_time() -> None:
    loop = FakeLoop({"a.py": "A = 10\nB = 0.5\n"}, lambda source: 1.0)
    hypotheses = [proposal.hypothesis for seed in range(4) if (proposal := loop.cycle(seed))]
    assert hypotheses == [
        "Set A in a.py: 10 -> 20",
        "Set B in a.py: 0.5 -> 1.0",
        "Set A in a.py: 10 -> 5",
        "Set B in a.py: 0.5 -> 0.25",
    ]


def test_a_kept_step_is_followed_by_the_next_in_its_direction() -> None:
    loop = FakeLoop(
        {"a.py": "A = 10  # range: 1..1000 log\n"}, lambda source: 1 / float(values_of(source)["A"])
    )
    for seed in range(3):
        loop.cycle(seed)
    assert values_of(loop.source) == {"A": 80}


def test_the_same_log_and_seed_give_the_same_proposal() -> None:
    loop = FakeLoop({"a.py": BOWL}, lambda source: bowl(values_of(source)))
    for seed in range(15):
        assert Tune().propose(loop.brief(seed)) == Tune().propose(loop.brief(seed))
        loop.cycle(seed)


def test_a_small_space_is_searched_to_its_end_and_then_it_stops() -> None:
    text = 'MODE = "a"  # choices: a, b, c\nFLAG = False\nDEPTH = 2  # range: 1..3\n'
    loop = FakeLoop({"a.py": text}, lambda source: None if "True" in source["a.py"] else 1.0)
    proposals = [loop.cycle(seed) for seed in range(30)]
    assert sum(proposal is not None for proposal in proposals) == 3 * 2 * 3 - 1
    assert proposals[-1] is None


def test_a_space_too_large_to_be_hit_by_chance_is_searched_to_its_end_too() -> None:
    loop = FakeLoop({"a.py": "A = 2  # range: 1..9\nB = 3  # range: 1..9\n"}, lambda source: 1.0)
    proposals = [loop.cycle(0) for _ in range(9 * 9)]
    assert None not in proposals[:-1]
    assert proposals[-1] is None


def test_a_step_that_failed_is_not_retried_on_the_next_champion() -> None:
    def worth(source: Mapping[str, str]) -> float:
        values = values_of(source)
        return float(values["A"]) / float(values["B"])

    loop = FakeLoop({"a.py": "A = 10\nB = 0.5\n"}, worth)
    hypotheses = [proposal.hypothesis for seed in range(3) if (proposal := loop.cycle(seed))]
    assert hypotheses == ["Set A in a.py: 10 -> 20", "Set B in a.py: 0.5 -> 1.0", "Set B in a.py: 1.0 -> 2.0"]


def test_the_program_the_campaign_began_with_is_not_proposed() -> None:
    loop = FakeLoop({"a.py": "FLAG = True\n"}, lambda source: 1.0)
    brief = loop.brief(0)
    assert Tune().propose(replace_fields(brief, baseline={"a.py": "FLAG = False\n"})) is None
    assert Tune().propose(brief) is not None


def test_trials_outside_of_a_narrowed_range_are_left_out() -> None:
    wide, narrow = (f"A = 10.0  # range: 1..{high}\nB = 1.5  # range: 1..2\n" for high in (900, 20))
    loop = FakeLoop({"a.py": wide}, lambda source: 1.0)
    for seed in range(6):
        loop.cycle(seed)
    loop.source = {"a.py": narrow}
    for seed in range(6):
        proposal = loop.cycle(seed)
        assert proposal is not None
        assert 1 <= float(values_of(proposal.edits)["A"]) <= 20


def test_one_file_at_a_time() -> None:
    source = {"a.toml": "x = 2\ny = 3\n", "b.json": '{"z": 4, "w": true}'}
    loop = FakeLoop(source, lambda source: 1.0)
    proposals = [loop.cycle(seed) for seed in range(40)]
    assert {tuple(proposal.edits) for proposal in proposals if proposal} == {("a.toml",), ("b.json",)}


def test_a_failed_setting_is_avoided_and_a_duplicate_says_nothing() -> None:
    proposal = Proposal({}, "", "tune")
    metric = Metric("loss", Command("true"))
    assert _loss(lesson(proposal, {}, Status.GATE_FAILED, 1.0, None), metric) == math.inf
    assert _loss(lesson(proposal, {}, Status.DUPLICATE, 1.0, None), metric) is None
    assert _loss(lesson(proposal, {}, Status.DISCARD, 8.0, 2.0), metric) == 4.0


def test_a_value_outside_its_own_range_is_brought_inside() -> None:
    loop = FakeLoop({"a.py": "A = 100  # range: 1..16\n"}, lambda source: 1.0)
    proposal = loop.cycle(0)
    assert proposal is not None
    assert proposal.edits == {"a.py": "A = 16  # range: 1..16\n"}


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.integers(0, 2**32 - 1))
def test_what_it_proposes_stays_within_the_range(low: float, high: float, seed: int) -> None:
    assume(low < high)
    text = f"A = {low!r}  # range: {low!r}..{high!r} log\n"
    loop = FakeLoop({"a.py": text}, lambda source: 1.0)
    for step in range(2):
        proposal = loop.cycle(seed + step)
        assert proposal is None or all(low <= float(v) <= high for v in values_of(proposal.edits).values())


@pytest.mark.parametrize("source", [{"a.py": "def f(x):\n    return x\n"}, {"a.txt": "A = 1"}, {}])
def test_without_knobs_it_gives_nothing(source: dict[str, str]) -> None:
    assert FakeLoop(source, lambda source: 1.0).cycle(0) is None


def test_without_knobs_nothing_heavy_is_imported() -> None:
    code = """
import sys
from pathlib import Path
from optiloop.model import Brief, Command, Metric
from optiloop.proposers.tune import Tune, _loss
brief = Brief("", {"a.py": "x = f()"}, Metric("m", Command("true")), None, 0, Path())
print(Tune().propose(brief), sorted({"optuna", "libcst", "yaml", "numpy"} & set(sys.modules)))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "None []\n"


def test_optuna_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    loop = FakeLoop({"a.py": BOWL}, lambda source: bowl(values_of(source)))
    for seed in range(10):
        loop.cycle(seed)
    assert capfd.readouterr() == ("", "")


# --- other places for knobs ----------------------------------------------------------------------------

CALLS = """
import numpy as np

SOLVE = np.linalg.eig  # choices: np.linalg.eig, np.linalg.eigh
OTHER = np.linalg.eig

def train(data, depth=3):
    model = lib.Forest(trees=100, fast=True, kind="auto", seed=7)
    model.fit(data, rate=0.1)  # range: 0.01..1 log
    ordered = sorted(data, reverse=True)
    values, vectors = np.linalg.eig(data)
    done = solve_ivp(f, data, method="RK45")
    return other(name="text", size=-3, deep=f(1))
"""
SHELL = """#!/bin/sh
# WIDTH=5 is said here only
WIDTH=64
LEVEL="9"   # range: 1..12
small=3
MODE=fast   # choices: fast, exact
export THREADS=4; run --depth=3 --rate 0.5 -j 8 --name x --fast=true $WIDTH  # --old=3
name="$WIDTH"; path=/tmp/3 x=1e
cat <<END
HEIGHT=7
END
PORT=080
"""


def test_keyword_arguments_of_calls_and_what_may_be_swapped() -> None:
    knobs = named("a.py", CALLS)
    assert {name: knob.value for name, knob in knobs.items()} == {
        "SOLVE": "np.linalg.eig",
        "train.Forest(trees)": 100,
        "train.Forest(fast)": True,
        "train.fit(rate)": 0.1,
        "train.np.linalg.eig": "np.linalg.eig",
        "train.solve_ivp(method)": "RK45",
    }
    assert knobs["train.fit(rate)"].domain == Range(0.01, 1, log=True)
    assert knobs["train.Forest(fast)"].domain == Choices((False, True))
    swapped = replace_all(
        CALLS,
        {
            knobs["SOLVE"]: "np.linalg.eigh",
            knobs["train.np.linalg.eig"]: "np.linalg.eigh",
            knobs["train.solve_ivp(method)"]: "LSODA",
        },
    )
    assert "SOLVE = np.linalg.eigh  #" in swapped
    assert "vectors = np.linalg.eigh(data)" in swapped
    assert 'method="LSODA"' in swapped
    again = named("a.py", swapped)
    assert again["train.np.linalg.eig"].value == "np.linalg.eigh", "its name stays when it is swapped"
    assert again["train.np.linalg.eig"].domain == knobs["train.np.linalg.eig"].domain


def test_two_calls_alike_in_one_function_are_no_knobs() -> None:
    assert find("a.py", "def f():\n    g(n=3)\n    g(n=4)\n") == ()


def test_a_choice_that_is_no_name_is_no_knob_of_code() -> None:
    assert find("a.py", "F = a.b  # choices: a.b, a.c()\n") == ()


@pytest.mark.parametrize("path", ["run.sh", "run", "run.bash"])
def test_shell_variables_and_flags(path: str) -> None:
    knobs = named(path, SHELL)
    assert {name: knob.value for name, knob in knobs.items()} == {
        "WIDTH": 64,
        "LEVEL": 9,
        "MODE": "fast",
        "THREADS": 4,
        "--depth": 3,
        "--rate": 0.5,
        "-j": 8,
        "--fast": True,
    }
    assert knobs["LEVEL"].domain == Range(1, 12)


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="needs a shell")
def test_what_is_turned_in_shell_is_read_back_by_the_shell(tmp_path: Path) -> None:
    text = 'WIDTH=64\nLEVEL="9"\nMODE=fast # choices: fast, exact\nset -- --rate 0.5 --on=true\n'
    text += 'echo $WIDTH $LEVEL $MODE "$@"\n'
    knobs = named("a.sh", text)
    values: dict[Knob, Value] = {
        knobs["WIDTH"]: 128,
        knobs["LEVEL"]: 3,
        knobs["MODE"]: "exact",
        knobs["--rate"]: 1e-05,
        knobs["--on"]: False,
    }
    (tmp_path / "a.sh").write_text(replace_all(text, values))
    said = subprocess.run(
        ["/bin/sh", "a.sh"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert said == "128 3 exact --rate 1.0e-05 --on=false\n"


# --- conditions ----------------------------------------------------------------------------------------

CONDITIONAL = """
MODE = "plain"  # choices: plain, deep
DEPTH = 2       # range: 1..4 when MODE == deep
"""


def test_a_condition_is_read_from_the_comment() -> None:
    knobs = named("a.py", CONDITIONAL)
    assert knobs["DEPTH"].when is not None
    assert not knobs["DEPTH"].when.met({"MODE": "plain"})
    assert knobs["DEPTH"].when.met({"MODE": "deep"})
    both = named("a.toml", "on = true\nn = 3  # range: 1..9 when on == true\n")
    assert both["n"].when is not None
    assert both["n"].when.met({"on": True})
    assert named("a.py", 'A = "x"  # choices: x, y when B == 3\nB = 3  # range: 1..5\n')[
        "A"
    ].domain == Choices(("x", "y"))


@pytest.mark.parametrize("name", ["MODUS", "DEPTH"])
def test_a_condition_on_no_other_knob_makes_none(name: str) -> None:
    text = CONDITIONAL.replace("MODE == deep", f"{name} == deep")
    assert "DEPTH" not in named("a.py", text)


def test_a_knob_without_effect_is_not_turned() -> None:
    loop = FakeLoop({"a.py": CONDITIONAL}, lambda source: 1.0)
    proposals = [proposal for seed in range(20) if (proposal := loop.cycle(seed))]
    found = [values_of(proposal.edits) for proposal in proposals]
    assert len(found) == 4, "the other mode with each depth; the plain one with its own depth only"
    assert {(values["MODE"], values["DEPTH"]) for values in found} == {("deep", n) for n in (1, 2, 3, 4)}


def test_the_sampler_goes_on_with_conditional_trials() -> None:
    def score(source: Mapping[str, str]) -> float:
        values = values_of(source)
        rate, deep = float(values["RATE"]), values["MODE"] == "deep"
        return 2.0 + math.log10(rate / 0.05) ** 2 - (float(values["GRIP"]) if deep else 0.0)

    text = (
        'MODE = "plain"  # choices: plain, deep\nRATE = 0.001  # range: 0.0001..1 log\n'
        "GRIP = 0.5  # range: 0..1 when MODE == deep\n"
    )
    loop = FakeLoop({"a.py": text}, score)
    for seed in range(40):
        loop.cycle(seed)
    assert values_of(loop.source)["MODE"] == "deep"
    assert score(loop.source) < 1.3


# --- samplers ------------------------------------------------------------------------------------------


def test_an_unknown_sampler_and_a_missing_package_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there are tpe, cmaes, gp, random"):
        Tune("best")
    monkeypatch.setattr("optiloop.proposers.tune.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install cmaes"):
        Tune("cmaes")
    with pytest.raises(UsageError, match="pip install torch"):
        Tune("gp")
    assert Tune("random")


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "random"])
def test_each_sampler_searches_and_is_repeatable(sampler: str) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    text = "A = 0.5  # range: 0..1\nB = 0.5  # range: 0..1\nC = 0.5  # range: 0..1\n"

    def score(source: Mapping[str, str]) -> float:
        return 1.0 + sum((float(value) - 0.8) ** 2 for value in values_of(source).values())

    loop = FakeLoop({"a.py": text}, score, tune=Tune(sampler))
    for seed in range(45):
        brief = loop.brief(seed)
        assert Tune(sampler).propose(brief) == Tune(sampler).propose(brief)
        loop.cycle(seed)
    assert score(loop.source) < 1.1


# --- runs ended early ----------------------------------------------------------------------------------


def test_a_run_ended_early_is_a_pruned_trial_with_its_value_so_far() -> None:
    source = {"a.py": "A = 0.5  # range: 0..1\n"}
    proposal = Proposal({}, "", "tune", tags=("knob:a.py:A=0.25",))
    ended = replace_fields(lesson(proposal, {}, Status.DISCARD, 1.0, None), partial=(0.3, 7.5))
    loop = FakeLoop(source, lambda source: 1.0, Direction.MAXIMIZE, FakeRecall([ended]))
    knobs = find("a.py", source["a.py"])
    study = _study(loop.brief(0), knobs, "tpe")
    champion, pruned = study.trials
    assert champion.value == -1.0
    assert pruned.state.name == "PRUNED"
    assert pruned.intermediate_values == {30: -7.5}
    assert pruned.params == {"a.py:A": 0.25}


def test_every_turn_is_recorded_from_and_to() -> None:
    source = {"a.py": 'A = 2  # range: 1..9\nMODE = "x"  # choices: x, y\n'}
    known = FakeLoop(source, lambda source: 1.0)
    for seed in range(10):
        proposal = known.cycle(seed)
        assert proposal is not None
        for knob in find("a.py", source["a.py"]):
            after = values_of(proposal.edits)[knob.name]
            turn = f"{knob.name} in a.py: {json.dumps(knob.value)} -> {json.dumps(after)}"
            assert (turn in proposal.hypothesis) == (after != knob.value)
            assert f"knob:a.py:{knob.name}={json.dumps(after)}" in proposal.tags
