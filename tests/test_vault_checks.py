"""Deterministic checks and the score made of them: properties, and a case for each thing a check sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.errors import TargetError
from optiloop.vault.checks import CHECKS, Finding, Said, check
from optiloop.vault.score import HIGHEST, LOWEST, Judged, score, value_of
from optiloop.vault.task import Check, Rubric

TEXTS = st.text(st.sampled_from("ab .\n-`[]<>1é"), max_size=120)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "clean": {},
    "fresh": {"most": 0.3},
    "front_matter": {"keys": ["title"]},
    "hides": {"secrets": ["a secret"]},
    "holds": {"expected": ["a line"]},
    "items": {"least": 2, "most": 4},
    "lacks": {"phrases": ["forbidden"]},
    "lines": {"expected": ["one", "two"]},
    "names": {"words": ["ash", "lime"], "least": 1},
    "started": {"most": 3},
    "varied": {"most": 0.3},
    "verdict": {"words": ["KEEP", "REDO"]},
    "whole": {},
    "words": {"least": 3, "most": 9},
}


def found(kind: str, text: str, given: dict[str, Any] | None = None, **said: Any) -> Finding:
    return check(Said(text, **said), Check(kind, given or ARGUMENTS[kind], 3.0, 1.0))


def test_each_check_has_its_arguments_here() -> None:
    assert ARGUMENTS.keys() == CHECKS.keys()


@given(st.sampled_from(sorted(ARGUMENTS)), TEXTS, TEXTS, TEXTS, st.sampled_from(["stop", "length"]))
def test_a_check_answers_anything_and_says_why_it_fails(
    kind: str, text: str, facts: str, asked: str, finish: str
) -> None:
    said = found(kind, text, facts=facts, asked=asked, finish=finish, started=9)
    assert 0 <= said.met <= 1
    assert (said.met < 1) == bool(said.failures)
    assert all(words.strip() and "\n\n" not in words for words in said.failures)


@pytest.mark.parametrize(
    ("kind", "good", "bad", "says"),
    [
        ("whole", "It is done.", "It is", "ends with 'It is'"),
        ("whole", 'She said "no."', "1. ash\n2. lime", "incomplete"),
        ("clean", "Plain words.", "```\nwords\n```", "code fence"),
        (
            "clean",
            "A [link](x) is fine.",
            "Next: [the next step].",
            "placeholder left in the text: '[the next step]'",
        ),
        ("clean", "Sure of it.", "Sure, here it is: ash.", "words about the answer"),
        ("clean", "I think so.", "<think>hm</think> so", "<think>"),
        ("items", "- a\n2. b\n* c", "a\nb", "needs at least 2 list items, has 0"),
        ("words", "one two three", "one", "needs at least 3 words, has 1"),
        ("words", "one two three", "w " * 12, "needs at most 9 words, has 12"),
        ("names", "Ash melts.", "Clay melts.", "misses 'ash', 'lime'"),
        ("lines", "one\ntwo\n", "two\none\n", "0 of 2 expected lines"),
        ("holds", "x\na line\n", "x\n", "1 of 1 are missing"),
        ("hides", "a secretary", "x\na secret\n", "leak from another section, as 'a secret'"),
        ("lacks", "allowed", "Forbidden fruit", "forbidden: 'forbidden'"),
        ("front_matter", "---\ntitle: x\n---\ntext", "title: x\ntext", "'title'"),
        ("front_matter", "---\ntitle: x\n---\ntext", "---\ntitle:\n---\ntext", "'title'"),
        ("verdict", "KEEP", "KEEP or REDO", "has 2"),
        ("verdict", "I say REDO.", "KEEPER", "has 0"),
        ("varied", "a b c d e f g", "a b c d " * 6, "repeats itself"),
    ],
)
def test_what_a_check_sees(kind: str, good: str, bad: str, says: str) -> None:
    assert found(kind, good) == Finding(1.0)
    failed = found(kind, bad)
    assert failed.met < 1
    assert says in failed.failures[0]


def test_a_text_that_was_cut_is_not_whole_whatever_its_last_character() -> None:
    assert "num_predict" in found("whole", "Done.", finish="length").failures[0]


def test_processes_that_nobody_counted_are_not_held_against_a_script() -> None:
    assert found("started", "", started=None).met == 1
    assert found("started", "", started=3).met == 1
    assert found("started", "", started=12) == Finding(
        0.25, ("the scripts start 12 processes (forks), at most 3",)
    )


EXAMPLE = "Good morning. At 08:00 you meet the plumber at the back door."
PLAN = "At 09:00 unload the glaze kiln. At 11:00 call the Ghent market about the stand."


def test_a_copied_example_is_no_gain_and_what_was_given_may_be_repeated() -> None:
    asked = f"Rewrite this plan.\n\n{{{{facts}}}}\n\nExample:\n{EXAMPLE}\n"
    assert found("fresh", EXAMPLE, facts=PLAN, asked=asked).met == 0
    assert found("fresh", f"Good morning. {PLAN}", facts=PLAN, asked=asked).met == 1
    mixed = found("fresh", f"{EXAMPLE} {PLAN}", facts=PLAN, asked=asked)
    assert 0 < mixed.met < 1


def test_a_prompt_s_own_instructions_count_as_copied_too() -> None:
    assert (
        found(
            "fresh",
            "Rewrite this plan as a short paragraph.",
            asked="Rewrite this plan as a short paragraph.",
        ).met
        == 0
    )


def test_a_rubric_may_name_what_the_judge_knows_of_the_vault() -> None:
    said = Said("Ash and lime.", expected={"radar": ["ash", "lime"]})
    assert check(said, Check("names", {"words": "radar"}, 3.0, 1.0)).met == 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Check("nosuch", {}, 3.0, 1.0), "no check 'nosuch'; there are clean"),
        (Check("names", {}, 3.0, 1.0), "'words' is missing"),
        (Check("names", {"words": "radar"}, 3.0, 1.0), "no list 'radar'"),
    ],
)
def test_a_rubric_that_is_wrong_is_the_targets_fault(asked: Check, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        check(Said("text"), asked)


# --- scores ----------------------------------------------------------------------------------------------

JUDGED = st.lists(
    st.builds(
        Judged,
        st.builds(Check, st.just("x"), st.just({}), st.floats(1, 5), st.floats(0.1, 3)),
        st.builds(Finding, st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.just(("why",))),
    ),
    max_size=6,
)
OPINIONS = st.one_of(st.none(), st.floats(0, 1))


@given(JUDGED, OPINIONS)
def test_a_failed_check_caps_the_score_whatever_else_is_right(
    judged: list[Judged], opinion: float | None
) -> None:
    value = value_of(judged, opinion)
    assert LOWEST <= value <= HIGHEST
    assert all(value <= it.check.cap for it in judged if it.failed)


@given(JUDGED, OPINIONS, st.data())
def test_to_meet_one_check_more_never_lowers_the_score(
    judged: list[Judged], opinion: float | None, data: st.DataObject
) -> None:
    if not judged:
        return
    at = data.draw(st.integers(0, len(judged) - 1))
    better = [*judged]
    better[at] = Judged(judged[at].check, Finding(1.0))
    assert value_of(better, opinion) >= value_of(judged, opinion) - 1e-12


@given(JUDGED, st.floats(0, 1), st.floats(0, 1))
def test_a_better_opinion_never_lowers_the_score(judged: list[Judged], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert value_of(judged, low) <= value_of(judged, high)


def test_an_output_that_is_empty_or_failed_has_the_lowest_score() -> None:
    rubric = Rubric((), (), 60.0, (), ())
    assert score("t", Said("  \n"), rubric).value == LOWEST
    assert score("t", Said("fine"), rubric, failure="exit code 3").failures == [("answered", "exit code 3")]
    assert score("t", Said("fine"), rubric).value == HIGHEST
