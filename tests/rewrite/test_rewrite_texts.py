"""Prompts and configuration: what is changed, that nothing else is, and what is left alone."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml

from optiloop.proposers.rewrite import sites_in, sites_of
from optiloop.proposers.rewrite.table import RULES
from optiloop.proposers.rewrite.texts import PROMPT

BY_NAME = {rule.name: rule for rule in RULES}

CHANGED = {
    "a line said twice": (
        "repeated-line",
        "Answer in one short sentence.\nBe kind.\n  Answer in one short sentence.\nBe kind.\n",
        "Answer in one short sentence.\nBe kind.\nBe kind.\n",
    ),
    "wordy": ("wordy-phrase", "In order to win, in order to lose.\n", "To win, to lose.\n"),
    "filler": ("wordy-phrase", "Please note that answers are short.\n", "Answers are short.\n"),
    "white space": ("blank-space", "a  \n\n\n\nb\n", "a\n\nb\n"),
    "json": ("json-debug-off", '{\n  "debug": true,\n  "n": 1\n}\n', '{\n  "debug": false,\n  "n": 1\n}\n'),
    "json level": ("json-quiet-log", '{\n  "log_level": "DEBUG"\n}\n', '{\n  "log_level": "WARNING"\n}\n'),
    "json size": ("json-compact", '{\n  "a": [1.50, "ü b"]\n}\n', None),
    "toml": ("toml-debug-off", "x = 1 # why\nsql_debug = true\n", "x = 1 # why\nsql_debug = false\n"),
    "toml level": ("toml-quiet-log", 'level = "debug" # loud\n', 'level = "warning" # loud\n'),
    "yaml": ("yaml-debug-off", "a:\n  tracing: true # x\n", "a:\n  tracing: false # x\n"),
    "yaml level": ("yaml-quiet-log", "log-level: DEBUG\n", "log-level: WARNING\n"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_the_rule_changes_just_this(name: str) -> None:
    rule, text, expected = CHANGED[name]
    sites = sites_of(BY_NAME[rule], text)
    if expected is None:  # a number would be written another way
        assert not sites
    else:
        assert [site.text for site in sites] == [expected]


def test_compact_json_says_the_same() -> None:
    text = '{\n  "a": [1, -2.5, "x  y"],\n  "b": null\n}\n'
    (site,) = sites_of(BY_NAME["json-compact"], text)
    assert json.loads(site.text) == json.loads(text)
    assert " " not in site.text.replace("x  y", "")


LEFT = {
    "a short line twice": ("repeated-line", "- yes\n- yes\n"),
    "a line in an example": (
        "repeated-line",
        "print('hello, dear world')\n```\nprint('hello, dear world')\n```\n",
    ),
    "a longer word": ("wordy-phrase", "in order together\n"),
    "an example's layout": ("blank-space", "```\na  \n\n\n\nb\n```\n"),
    "debugging that is off": ("json-debug-off", '{"debug": false}\n'),
    "a text that says debug": ("json-debug-off", '{"a": "\\ndebug: true"}\n'),
    "a level of something else": ("json-quiet-log", '{"sea_level": "debug"}\n'),
    "small already": ("json-compact", '{"a":1}\n'),
    "a comment": ("toml-debug-off", "# debug = true\nx = 1\n"),
    "within a text": ("toml-quiet-log", 'x = """\nlevel = "debug"\n"""\n'),
    "a block of text": ("yaml-debug-off", "a: |\n  debug: is\n  b\n"),
    "a warning already": ("yaml-quiet-log", "level: warning\n"),
}


@pytest.mark.parametrize("name", LEFT)
def test_the_rule_leaves_it_alone(name: str) -> None:
    rule, text = LEFT[name]
    assert not sites_of(BY_NAME[rule], text)


def test_every_rule_for_texts_has_cases_on_both_sides() -> None:
    own = {rule.name for rule in RULES if not rule.answers and rule.language.name not in ("Python", "shell")}
    assert {rule for rule, _, _ in CHANGED.values()} == own == {rule for rule, _ in LEFT.values()}


def test_only_one_value_changes() -> None:
    texts = {"c.json": '{\n"debug": true,\n"verbose": true}', "c.toml": "debug = true\nverbose = true\n"}
    readers = {"c.json": json.loads, "c.toml": tomllib.loads, "c.yaml": yaml.safe_load}
    for path, text in {**texts, "c.yaml": "debug: true\nverbose: true\n"}.items():
        sites = [site for rule, site in sites_in(path, text) if "debug" in rule.name]
        found = [readers[path](site.text) for site in sites]
        assert found == [{"debug": False, "verbose": True}, {"debug": True, "verbose": False}]


@pytest.mark.parametrize(
    ("path", "is_prompt"),
    [("a/system_prompt.md", True), ("x.prompt", True), ("README.md", False), ("prompt.py", False)],
)
def test_prompts_are_known_by_name(path: str, is_prompt: bool) -> None:
    assert PROMPT.holds(path, "") is is_prompt
