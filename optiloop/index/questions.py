"""The questions of `optiloop ask`, as a table: to add one, write it and its method in `memory`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

RUNS = ("run", "status", "effect", "hypothesis")
INSIGHTS = ("finding", "insight")


@dataclass(frozen=True)
class Question:
    """One flag: the Memory method that answers it, what it is given, and the columns that people see.

    `given` names its arguments; empty where it takes none. With `conditions` those of `--while` follow them.
    """

    flag: str
    method: str
    given: tuple[str, ...]
    help: str
    columns: tuple[str, ...] = RUNS
    conditions: bool = False


STATE = Question("state", "state", (), "Where it stands, or stood: champion, keeps, values in force.")
TEXT = Question("text", "recall", ("TEXT",), "Experiments about a text.", (*RUNS, "label"))

QUESTIONS = (
    STATE,
    Question("best-before", "best_before", ("CHANGE",), "The best metric before a change."),
    Question("helped", "helped", ("KIND",), "Which changes of a kind helped.", conditions=True),
    Question(
        "tried",
        "tried",
        ("WHAT",),
        "Was it tried? Each attempt, what differs from now, and whether to try again.",
        ("run", "status", "effect", "alone", "hypothesis", "since_then"),
    ),
    Question("common", "common", ("ID", "ID"), "What two experiments have in common."),
    Question("best-for", "best_for", ("COMPONENT",), "The best known for a function, knob or family."),
    Question(
        "avoid",
        "avoid",
        ("PLACE",),
        "What clearly failed at a place and is not worth trying again.",
        ("run", "failed", "what", "reason"),
    ),
    Question(
        "unexplored",
        "unexplored",
        (),
        "What was never tried where, most promising first.",
        ("place", "family", "promise"),
    ),
    Question("ancestry", "ancestry", (), "The keeps that the champion is made of, newest first."),
    Question(
        "contradictions",
        "contradictions",
        (),
        "What helped here and hurt there, and what differs.",
        INSIGHTS,
    ),
    Question("stale", "stale", (), "What was learned of code that is gone or rewritten.", INSIGHTS),
    Question(
        "insights",
        "insights",
        ("FOCUS",),
        "What to look at: contradictions, failures, stale, patterns or discover.",
        INSIGHTS,
    ),
)
