"""What a model is asked to look at: by share and tries, by lot, and the same again for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.memory.history import History
from optiloop.model import Brief, Command, Experiment, Metric, Proposal, Status
from optiloop.proposers.assignment import IDEAS, PROSE_IDEAS, SETTING_IDEAS, functions
from optiloop.proposers.llm.focus import Ask, Kind, asked, sentence
from optiloop.testing import brief_of, experiment_of

SOURCE = {"a.py": "".join(f"def {name}(x):\n    return x\n\n\n\n\n\n\n\n" for name in "fgh") + "# end\n" * 60}


def tried(function: str, *statuses: Status, ideas: tuple[str, ...] = (), first: int = 0) -> list[Experiment]:
    """Experiments that changed one function."""
    found = []
    for number, status in enumerate(statuses, first):
        text = SOURCE["a.py"].replace(
            f"def {function}(x):\n    return x", f"def {function}(x):\n    return {number}"
        )
        tags = tuple(f"idea:{idea}" for idea in ideas[number - first : number - first + 1])
        proposal = Proposal({"a.py": text}, f"try {number}", "test", tags=tags)
        effect = 2.0 if status is Status.KEEP else None
        found.append(experiment_of(proposal, SOURCE, number=number, status=status, effect=effect))
    return found


def brief(
    *experiments: Experiment, source: Mapping[str, str] = SOURCE, seed: int = 0, **profile: float
) -> Brief:
    history = History(Metric("score", Command("true")))
    for one in experiments:
        history.add(one)
    return brief_of(source, history=history, profile=profile, seed=seed)


def drawn(known: Brief, kind: Kind = "function", times: int = 300) -> Counter[str | None]:
    return Counter(asked(replace(known, seed=seed), kind).function for seed in range(times))


@given(st.integers(0, 2**48), st.sampled_from(get_args(Kind)))
def test_the_same_brief_gives_the_same_question(seed: int, kind: Kind) -> None:
    known = brief(*tried("f", *[Status.DISCARD] * 5), seed=seed)
    assert asked(known, kind) == asked(known, kind)


def test_every_function_comes_up_in_time() -> None:
    assert set(drawn(brief())) == {"f", "g", "h"}


def test_a_larger_share_of_the_metric_comes_up_more() -> None:
    counts = drawn(brief(f_us=900.0, g_us=90.0, h_us=10.0))
    assert counts["f"] > 200 > counts["g"] > counts["h"]


def test_what_the_profile_does_not_tell_about_comes_up_seldom() -> None:
    assert drawn(brief(f=0.5))["f"] > 250


def test_tries_without_a_gain_lead_away() -> None:
    fresh, worn = (
        drawn(brief(f=1.0, g=1.0, h=0.0001)),
        drawn(
            brief(
                *tried("f", *[Status.DISCARD, Status.CRASH, Status.GATE_FAILED] * 5), f=1.0, g=1.0, h=0.0001
            )
        ),
    )
    assert worn["f"] < fresh["f"] / 4
    assert worn["f"] > 0


def test_a_gain_does_not_lead_away() -> None:
    kept = drawn(brief(*tried("f", *[Status.KEEP] * 5)))
    assert kept == drawn(brief())


def test_without_a_profile_loops_come_up_more() -> None:
    text = "def f(x):\n    return x\n\n\ndef g(x):\n    for a in x:\n        for b in a:\n            pass\n"
    counts = drawn(brief(source={"a.py": text}))
    assert counts["g"] > 2 * counts["f"] > 0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "x = 1\n"),
        ("a.py", "def f(:\n"),
        ("a.py", ""),
        ("prompt.md", "# Be good\n\ndef f():\n    pass\n"),
        ("config.toml", "# nothing is set\n"),
        ("a.py", "if x:\n    def f(): return 1\nelse:\n    def f(): return 2\n"),
    ],
)
@pytest.mark.parametrize("kind", get_args(Kind))
def test_where_no_function_can_be_named_the_file_is_asked_for(path: str, text: str, kind: Kind) -> None:
    ask = asked(brief(source={path: text}), kind)
    assert (ask.path, ask.function) == (path, None)
    assert ask.kind == ("file" if kind == "function" else kind)
    assert ask.place == path


def test_a_small_file_is_looked_at_as_a_whole_by_who_can() -> None:
    source = {"a.py": "def f():\n    return 1\n"}
    assert asked(brief(source=source), "function").function == "f"
    assert asked(brief(source=source), "file").function is None
    assert asked(brief(), "edits").function is not None


def test_methods_have_dotted_names_and_async_ones_count() -> None:
    twice = "    @property\n    def p(self): ...\n    @p.setter\n    def p(self, x): ...\n"
    text = f"class A:\n    def f(self): return 1\n    async def g(self): return 2\n{twice}"
    assert [it.name for it in functions("a.py", text)] == ["A.f", "A.g"]


# --- ideas -------------------------------------------------------------------------------------------


def ideas_at_f(*experiments: Experiment) -> set[str]:
    known = brief(*experiments, f=1.0)
    return {
        ask.idea
        for seed in range(200)
        if (ask := asked(replace(known, seed=seed), "function")).function == "f"
    }


def test_an_idea_is_given_along_once_the_model_is_stuck() -> None:
    assert ideas_at_f() == {""}
    assert ideas_at_f(*tried("f", Status.DISCARD)) == {""}
    assert ideas_at_f(*tried("f", Status.DISCARD, Status.CRASH)) == set(IDEAS)
    assert ideas_at_f(*tried("f", Status.DISCARD, Status.DISCARD, Status.KEEP)) == {""}


def test_the_ideas_given_least_at_a_place_come_first() -> None:
    given_ideas = tuple(IDEAS)[:-2]
    log = tried("f", *[Status.DISCARD] * len(given_ideas), ideas=given_ideas)
    assert ideas_at_f(*log) == set(IDEAS) - set(given_ideas)


@pytest.mark.parametrize(
    ("path", "ideas"),
    [("a.md", PROSE_IDEAS), ("a.toml", SETTING_IDEAS), ("a.sh", IDEAS), ("prompt", PROSE_IDEAS)],
)
def test_each_kind_of_file_has_its_ideas(path: str, ideas: Mapping[str, str]) -> None:
    source = {path: "one\n"}
    changes = [Proposal({path: f"{n}\n"}, "h", "o") for n in range(3)]
    log = [experiment_of(change, source, number=n) for n, change in enumerate(changes)]
    ask = asked(brief(*log, source=source), "file")
    assert ask.idea in ideas
    assert sentence(ask) == ideas[ask.idea]
    assert ask.tags == (f"idea:{ask.idea}",)


def test_no_idea_no_tag_and_no_sentence() -> None:
    ask = Ask("file", "a.py")
    assert (ask.tags, sentence(ask)) == ((), "")


def test_ideas_have_names_of_their_own() -> None:
    assert len({*IDEAS, *PROSE_IDEAS, *SETTING_IDEAS}) == len(IDEAS) + len(PROSE_IDEAS) + len(SETTING_IDEAS)
