"""What answers a failed check: prompts, settings and scripts of a task; and what is left alone."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from optiloop.memory.history import History
from optiloop.model import Command, Metric, Proposal, Status
from optiloop.proposers.rewrite import IN_VAIN, Rewrite, _in_order, sites_of
from optiloop.proposers.rewrite.diagnosed import ailing
from optiloop.proposers.rewrite.prompts import counts_in
from optiloop.proposers.rewrite.rule import Rule
from optiloop.proposers.rewrite.table import RULES
from optiloop.testing import RuleContract, brief_of, experiment_of

BY_NAME = {rule.name: rule for rule in RULES}
ANSWERING = sorted(rule.name for rule in RULES if rule.answers)

TOML = """# the morning
model = "small"   # choices: small, large
num_predict = 40  # too few?
temperature = 0.8
pool = ["small", "tiny", "large"]   # who votes
max_lines = 100
"""
EXAMPLE = """Write a note.

Example:
---
title: A day at sea
---
## Facts
- The wind blew from the west.

Be brief.
"""

CHANGED = {
    "counted-rule": ("needs at least 5 cuts, has 2", "List.\n", "List.\n\nWrite at least 5 cuts.\n"),
    "format-rule": (
        "the output is no JSON with 'title' and 'body'",
        "Sum it up.\n",
        "Sum it up.\n\nAnswer with raw JSON with the keys title, body and nothing else:"
        " the first character is { or [.\n",
    ),
    "checked-rule": (
        "must name the file of each change; has 1 of 4",
        "Sum it up.\n",
        "Sum it up.\n\nMake sure of this: name the file of each change.\n",
    ),
    "forbid-fences": (
        "code fence in line 1",
        "Sum it up.\n",
        "Sum it up.\n\nWrite the text itself: no code fence, nothing before it and nothing after it.\n",
    ),
    "forbid-words": ("forbidden: 'As an AI'", "Sum it up.\n", "Sum it up.\n\nNever write: As an AI\n"),
    "structure-only": (
        "62 % of the example is copied",
        EXAMPLE,
        "Write a note.\n\nExample:\n---\ntitle: <title>\n---\n## Facts\n- <a line of your own>\n\n"
        "Each <...> stands for words of your own about the input; copy nothing from this pattern.\n\n"
        "Be brief.\n",
    ),
    "more-room": ("ends in mid-sentence", TOML, TOML.replace("= 40", "= 80")),
    "less-room": ("too long", TOML, TOML.replace("= 40", "= 20")),
    "widen-limit": ("misses the trend 'linen'", TOML, TOML.replace("= 100", "= 500")),
    "narrow-limit": ("the prompt overflows the context", TOML, TOML.replace("= 100", "= 25")),
    "cooler": ("invented a file", TOML, TOML.replace("0.8", "0.0")),
    "warmer": ("repeats itself", TOML, TOML.replace("0.8", "0.7")),
    "no-think": ("<think> in the output", TOML, TOML.replace("model =", "think = false\nmodel =")),
    "swap-model": ("wrong", TOML, TOML.replace('model = "small"', 'model = "large"')),
    "drop-model": ("the pool's tiny answers nothing", TOML, TOML.replace('"tiny", ', "")),
    "plain-template": (
        "placeholder left in the text: '[date]'",
        "Use this:\n```\nDate: [date]\nNext: <what comes>\n```\n{{facts}}\n",
        "Use this:\nDate:\nNext:\n{{facts}}\n",
    ),
    "use-script": ("front matter is missing", 'post = ""  # none\n', 'post = "post.sh"  # none\n'),
    "one-awk": (
        "the scripts start 64 processes (forks), at most 20",
        "for f in *; do\n  a=$(sed -n 's/^due: //p' \"$f\")\n"
        "  b=$(sed -n 's/^ease: //p' \"$f\")\n  echo $a $b\ndone\n",
        None,
    ),
    "strip-output": ("code fence in line 1", "#!/bin/sh\n# nothing to do\ncat\n", None),
    "section-end": (
        "leaks the section 'Private'",
        "sed -n '/^## Trends/,$p' \"$1\" | head -5\n",
        "awk '/^#?# /{on=0} /^## Trends/{on=1} on' \"$1\" | head -5\n",
    ),
    "wide-head": ("hides the trend 'linen'", "sort x | head -10\n", "sort x | head -50\n"),
    "narrow-head": ("too many lines", "tail -n 400 x | cut -c1-80\n", "tail -n 100 x | cut -c1-80\n"),
}  # fmt: skip

LEFT = {
    "counted-rule": [
        ("needs at least 5 bullets, has 2", "Write at least 5 bullets.\n"),
        ("has 3 of 5 facts", "List them.\n"),
        ("names no file", "List them.\n"),
    ],
    "format-rule": [
        ("needs at least 5 bullets", "Sum it up.\n"),
        ("is not kind", "Sum it up.\n"),
        ("what the collector hands over misses 'linen'", "Sum it up.\n"),
        ("8 of 8 secrets leak from another section, as 'Ash'", "Sum it up.\n"),
        ("model 'local:none' of the pool gave no answer: there is no such file", "Sum it up.\n"),
    ],
    "checked-rule": [
        ("wrong", "Sum it up.\n"),
        ("must name what it misses: 'linen'", "Sum it up.\n"),
        ("copied from the prompt's example: 60% of the text", "Sum it up.\n"),
        ("must name a file", "Always name a file.\n"),
    ],
    "forbid-fences": [("code fence in line 1", "Answer in words. No code fences.\n")],
    "forbid-words": [("forbidden: 'As an AI'", "Sum it up.\n\nNever write: As an AI\n")],
    "structure-only": [
        ("62 % of the example is copied", "For example, be brief and kind.\nNo more.\n"),
        ("62 % of the example is copied", "Sum it up.\n"),
        ("62 % of the example is copied", "Example:\n"),
    ],
    "more-room": [
        ("ends in mid-sentence", "num_predict = 4096\n"),
        ("ends in mid-sentence", 'num_predict = "many"\n'),
        ("ends in mid-sentence", "# num_predict = 40\nx = 1\n"),
        ("ends in mid-sentence", 'a = """\nnum_predict = 40\n"""\n'),
    ],
    "less-room": [("too long", "num_predict = 20\n")],
    "widen-limit": [("misses a trend", "num_predict = 40\nbudget_seconds = 5\n")],
    "narrow-limit": [("overflows the context", "max_lines = 8\n")],
    "cooler": [("invented a file", "temperature = 0.0\n"), ("invented a file", "temperature = true\n")],
    "warmer": [("repeats itself", "temperature = 0.7\n")],
    "no-think": [("<think>", "model = 3\n"), ("<think>", "model = 'a'\nthink = false\n")],
    "swap-model": [("wrong", 'model = "small"\n'), ("wrong", 'pool = ["a", "b"]\n')],
    "drop-model": [("pool", 'pool = ["a"]\n'), ("pool", "pool = [1, 2]\n"), ("pool", 'models = "a, b"\n')],
    "plain-template": [
        ("placeholder left", "See [the list](a.md) and {{facts}}; 2 < 3 and 4 > 3.\n"),
        ("code fence", "Write `x`.\n"),
    ],
    "use-script": [
        ("front matter is missing", 'post = "clean.sh"\n'),
        ("front matter is missing", 'collect = ""\n'),
    ],
    "one-awk": [
        ("forks", "a=$(sed -n 's/^due: //p' \"$f\")\n"),
        ("forks", "a=$(sed -n 's/^due: //p' \"$f\")\nb=$(sed -n 's/^due: //p' \"$g\")\n"),
        ("forks", "a=$(sed -n '/due/p' \"$f\")\nb=$(sed -n '/ease/p' \"$f\")\n"),
        ("forks", "a=x$(sed -n 's/^due: //p' $f)\nb=x$(sed -n 's/^ease: //p' $f)\n"),
    ],
    "strip-output": [
        ("code fence", "sed 's/a/b/'\n"),
        ("code fence", "cat | sed 's/a/b/'\n"),
        ("code fence", "#!/bin/sh\n"),
    ],
    "section-end": [
        ("leaks", "awk '/^## /{on=0} /^## Trends/{on=1} on' x\n"),
        ("leaks", "sed -n '/^Trends/,$p' x\n"),
        ("leaks", "sed '/^## Trends/,$d' x\n"),
        ("leaks", "sed -n '/^## Trends/,/^## /p' x\n"),
    ],
    "wide-head": [("hides", "head x\n"), ("hides", "cut -d, -f10 x\n"), ("hides", "head -20000 x\n")],
    "narrow-head": [("too many lines", "head -8 x\n"), ("too many lines", "cat\n")],
}


@pytest.mark.parametrize("name", ANSWERING)
def test_the_rule_changes_just_this(name: str) -> None:
    said, text, expected = CHANGED[name]
    first = sites_of(BY_NAME[name], text, said)[0].text
    assert expected is None or first == expected


@pytest.mark.parametrize("name", ANSWERING)
def test_the_rule_does_nothing(name: str) -> None:
    for said, text in LEFT[name]:
        assert not sites_of(BY_NAME[name], text, said), (said, text)
    assert not sites_of(BY_NAME[name], CHANGED[name][1]), "no check has failed"


class TestEachKeepsToTheContract(RuleContract):
    @pytest.fixture(autouse=True, params=ANSWERING)
    def given(self, request: pytest.FixtureRequest) -> None:
        self.name = request.param
        self.said, text, _ = CHANGED[self.name]
        self.fires = (text,)
        self.leaves = tuple(text for said, text in LEFT[self.name] if said == self.said) or ("",)

    def rule(self) -> Rule:
        return BY_NAME[self.name]

    def test_it_comes_to_an_end(self) -> None:
        if self.name == "swap-model":
            pytest.skip("from the second model it goes back to the first: the log knows that one")
        super().test_it_comes_to_an_end()


@pytest.mark.parametrize("name", ANSWERING)
def test_it_names_its_lesson_and_listens_to_its_own_case(name: str) -> None:
    import re

    rule = BY_NAME[name]
    assert "Source: " in (rule.sites.__doc__ or "")
    assert re.search(rule.answers, CHANGED[name][0], re.IGNORECASE)


# --- settings in three forms -------------------------------------------------------------------------

YAML = """# the morning
model: small     # choices: small, large
options:
  num_predict: 40
  temperature: 0.8
pool:
  - small   # one
  - tiny
  - large
"""
JSON = json.dumps(
    {"model": "small", "options": {"num_predict": 40}, "pool": ["small", "tiny", "large"]}, indent=2
)


@pytest.mark.parametrize(
    ("text", "read"), [(YAML, yaml.safe_load), (JSON, json.loads), (TOML, tomllib.loads)]
)
def test_one_setting_changes_and_no_comment_goes(text: str, read: object) -> None:
    assert callable(read)
    before = read(text)
    for name in ("more-room", "drop-model", "no-think", "swap-model"):
        for site in sites_of(BY_NAME[name], text, "the pool's tiny <think>s and ends early"):
            after = read(site.text)
            assert sum(before.get(key) != after.get(key) for key in {**before, **after}) == 1
            lines = [line for line in site.text.split("\n") if line not in text.split("\n")]
            assert len(lines) <= 1, "one line is new"
            assert site.text.count("#") >= text.count("#") - (name == "drop-model")
    (site, *_) = sites_of(BY_NAME["drop-model"], text, "the pool's tiny fails")
    assert read(site.text)["pool"] == ["small", "large"]


# --- scripts, run ------------------------------------------------------------------------------------

NOTE = "# N\n## Trends\nlinen\n### Cuts\nwide\n## Private\nsecret\n"


def run(script: str, given: str, folder: Path) -> str:
    (folder / "note.md").write_text(NOTE)
    done = subprocess.run(
        ["/bin/sh", "-c", script], input=given, capture_output=True, text=True, cwd=folder, check=True
    )
    return done.stdout


def test_a_section_ends_where_the_next_begins(tmp_path: Path) -> None:
    for script in ("sed -n '/^## Trends/,$p' note.md\n", "awk '/^## Trends/,0' note.md\n"):
        assert "secret" in run(script, "", tmp_path)
        (site,) = sites_of(BY_NAME["section-end"], script, "leaks 'secret'")
        assert run(site.text, "", tmp_path) == "## Trends\nlinen\n### Cuts\nwide\n"


def test_one_awk_reads_what_four_seds_read(tmp_path: Path) -> None:
    script = (
        "for note in *.txt; do\n  due=$(sed -n 's/^due: //p' \"$note\")\n"
        "  title=$(sed -n 's/^title: //p' \"$note\")\n  ease=$(sed -n 's/^ease: //p' \"$note\")\n"
        '  if [ "$due" \\> "2026-05" ]; then continue; fi\n  echo "$due|$title|$ease"\ndone | sort\n'
    )
    (tmp_path / "a.txt").write_text("title: Fox & co: $(x) `y`\\n\ndue: 2026-04-01\n")
    (tmp_path / "b.txt").write_text("due: 2026-06-01\ntitle: late\n")
    (tmp_path / "c c.txt").write_text("ease: 2\ntitle:  two  blanks \ndue: 2026-01-01")
    (tmp_path / "d.txt").write_text("")
    (site,) = sites_of(BY_NAME["one-awk"], script, "processes (forks)")
    assert site.text.count("awk") == 1
    assert "sed" not in site.text
    assert run(site.text, "", tmp_path) == run(script, "", tmp_path)


def test_the_post_processor_takes_off_what_nobody_wants(tmp_path: Path) -> None:
    given = "<think>\nhm\n</think>\n\n```markdown\n# A\n\ntext <topic>\n```\n\n"
    strip = sites_of(BY_NAME["strip-output"], "cat\n", "code fence")[0].text
    assert run(strip, given, tmp_path) == "# A\n\ntext <topic>\n"
    drop = sites_of(BY_NAME["strip-output"], "cat\n", "a placeholder is left")[0].text
    assert "<topic>" not in run(drop, given, tmp_path)


# --- what a check says -------------------------------------------------------------------------------


def test_no_prompt_is_told_what_only_this_input_leads_to() -> None:
    """The answer itself, taken from a failed check into a prompt, would be a gain on this vault alone."""
    for said in (
        "the text misses 'linen', 'cobalt': names 0, 2 are needed",
        "3 of 8 are missing, as 'linen'",
    ):
        for rule in RULES:
            for site in sites_of(rule, "Sum it up.\n", said) if rule.answers else ():
                assert "linen" not in site.text, rule.name


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("needs at least 5 bullets, has 2", ["at least 5 bullets"]),
        ("2 bullets, at least 5 wanted", ["at least 5 bullets"]),
        ("words: 31, at least 120", ["at least 120 words"]),
        ("between 3 and 5 questions, found 9", ["between 3 and 5 questions"]),
        ("at least 80 words (34)", ["at least 80 words"]),
        ("5 bullets wanted; 2 found", ["exactly 5 bullets"]),
        ("the text misses 'kiln': names 0, 2 are needed", []),
        (
            "needs at least 4 bullets, has 0; needs at least 40 words, has 9",
            ["at least 4 bullets", "at least 40 words"],
        ),
        ("has 3 of 5 facts", []),
        ("ends in mid-sentence", []),
    ],
)
def test_counts_are_read_from_a_checks_words(said: str, found: list[str]) -> None:
    assert counts_in(said) == found


def test_the_lowest_task_comes_first() -> None:
    told = """<<<output
METRIC vault=3
task a score 4.0 reads b, c
  check one: x
task b score 2.1
  check two: y: z
  an aside
  check three: w
task c score 1.0
<<<end"""
    found = ailing(told)
    assert [task.name for task in found] == ["b", "a"]
    assert [(failure.check, failure.said) for failure in found[0].failures] == [
        ("two", "y: z"),
        ("three", "w"),
    ]


def test_what_answers_the_lowest_task_is_proposed_first() -> None:
    source = {
        "tasks/a/prompt.md": "Say it.\n",
        "tasks/b/prompt.md": "Say it in order to be kind.\n",
        "tasks/b/task.toml": "num_predict = 40\n",
        "tasks/b/collect.sh": "sort x | uniq | head -10\n",
        "tasks/c/prompt.md": "Say more.\n",
    }
    told = """task a score 3.5
  check words: needs at least 90 words, has 12
task b score 2.0 reads c
  check end: must not end in mid-sentence
  check forks: 900 processes, at most 40
"""
    known = replace(brief_of(source), diagnosis=f"<<<output\n{told}\n<<<end")
    found = [(candidate.path, candidate.rule.name) for candidate in _in_order(known)]
    b = [found.index(("tasks/b/task.toml", "more-room")), found.index(("tasks/b/collect.sh", "sort-unique"))]
    a = found.index(("tasks/a/prompt.md", "counted-rule"))
    assert max(b) < a
    assert not [path for path, _ in found if path == "tasks/c/prompt.md"], "its own checks are met"
    assert a < found.index(("tasks/b/prompt.md", "wordy-phrase"))
    first = Rewrite().propose(known)
    assert first is not None
    assert first.edits == {"tasks/b/task.toml": "num_predict = 80\n"}
    assert "tasks/b/task.toml" in first.hypothesis
    assert [rule for _, rule in [(c.path, c.rule.name) for c in _in_order(brief_of(source))]] == [
        "sort-unique",
        "wordy-phrase",
    ]


def test_a_task_that_changes_have_not_helped_waits_for_the_others() -> None:
    source = {"tasks/a/prompt.md": "Say it.\n", "tasks/b/prompt.md": "Tell it.\n"}
    told = """task a score 2.0
  check words: needs at least 90 words, has 12
task b score 3.0
  check words: needs at least 90 words, has 12
"""

    def first(*status: Status) -> str:
        known = History(Metric("score", Command("true")))
        for number, each in enumerate(status):
            tried = Proposal({"tasks/a/prompt.md": f"Say it {number}.\n"}, "", "x")
            known.add(experiment_of(tried, source, number=number, status=each))
        return next(_in_order(replace(brief_of(source, history=known), diagnosis=told))).path

    vain = [Status.DISCARD] * IN_VAIN
    assert first(*vain[1:]) == "tasks/a/prompt.md"
    assert first(*vain) == "tasks/b/prompt.md"
    assert first(*vain, Status.KEEP) == "tasks/a/prompt.md"
