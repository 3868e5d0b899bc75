"""Facts are read from diffs, and from words only where there is no diff; directions are never mixed up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.diff import unified
from optiloop.memory.entities import ENTITIES, aliases_of, entity_of
from optiloop.memory.facts import OPPOSITE, Facts, Knob, Way, alike, of_diff, of_text, opposed


def change(before: str, after: str, path: str = "train.py") -> Facts:
    return of_diff(unified({path: before}, {path: after}))


@pytest.mark.parametrize(
    ("before", "after", "knob", "way"),
    [
        ("DEPTH = 8\n", "DEPTH = 10\n", Knob("DEPTH", "8", "10"), Way.UP),
        ("LR = 1e-4\n", "LR = 0.00005  # smaller\n", Knob("LR", "1e-4", "0.00005"), Way.DOWN),
        ("SIZE = 2**19\n", "SIZE = 2**18\n", Knob("SIZE", "2**19", "2**18"), Way.DOWN),
        ("lr: float = 0.1\n", "lr: float = 0.2\n", Knob("lr", "0.1", "0.2"), Way.UP),
        ("f(x, fused=False)\n", "f(x, fused=True)\n", Knob("fused", "False", "True"), Way.ADD),
        ('mode = "a"\n', 'mode = "b"\n', Knob("mode", "a", "b"), Way.SWAP),
        ("temperature: 0.7\n", "temperature: 0.2\n", Knob("temperature", "0.7", "0.2"), Way.DOWN),
        ('  "n": 3,\n', '  "n": 4,\n', Knob("n", "3", "4"), Way.UP),
        ("run --threads 2\n", "run --threads 4\n", Knob("threads", "2", "4"), Way.UP),
        ("A = 1\n", "A = 1\nB_MAX = 2\n", Knob("B_MAX", None, "2"), Way.ADD),
    ],
)
def test_a_knob_has_both_values_and_a_way(before: str, after: str, knob: Knob, way: Way) -> None:
    (found,) = change(before, after).knobs
    assert found == knob
    assert found.way is way


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1e-4\n", "x = 0.0001\n"),  # one value in two wordings
        ("x = 1\ny = 2\n", "y = 2\nx = 1\n"),
        ("if x == 1:\n", "if x == 2:\n"),  # a comparison is not a setting
        ("# depth = 8\n", "# a note\n"),
    ],
)
def test_what_is_no_setting_makes_no_knob(before: str, after: str) -> None:
    assert change(before, after).knobs == ()


@pytest.mark.parametrize(
    ("text", "entity", "way"),
    [
        ("increase depth", "depth", Way.UP),
        ("add layers", "depth", Way.UP),
        ("stack additional blocks", "depth", Way.UP),
        ("decrease model depth", "depth", Way.DOWN),
        ("lr 5e-5->1e-4", "learning rate", Way.UP),
        ("lr 1e-4 -> 5e-5", "learning rate", Way.DOWN),
        ("raise matrix LR to 0.05", "learning rate", Way.UP),
        ("halve batch 524K to 262K", "batch size", Way.DOWN),
        ("remove dropout", "dropout", Way.REMOVE),
        ("replace AdamW with Muon", "optimizer", Way.SWAP),
        ("Weight decay 0.1 -> 0.2", "weight decay", Way.UP),
        ("memoise the lookup", "caching", Way.CHANGE),
    ],
)
def test_words_say_what_and_which_way(text: str, entity: str, way: Way) -> None:
    assert dict(of_text(text).entities)[entity] is way


def test_text_is_not_asked_where_a_diff_tells() -> None:
    facts = change("DEPTH = 10\n", "DEPTH = 8\n")
    assert facts.entities == (("depth", Way.DOWN),)


def test_opposite_directions_are_told_apart_where_embeddings_are_not() -> None:
    assert opposed(of_text("increase the learning rate"), of_text("decrease LR"))
    assert opposed(of_text("lr 5e-5->1e-4"), of_text("lr 1e-4->5e-5"))
    assert not opposed(of_text("add layers"), of_text("increase depth"))
    assert not opposed(of_text("decrease width"), of_text("increase depth"))


def test_the_same_change_written_otherwise_is_alike_and_another_value_is_not() -> None:
    loop = "def f(words):\n    out = []\n    for word in words:\n        out.append(word.lower())\n"
    loop += "    return out\n"
    other = loop.replace("word ", "item ").replace("word.", "item.")
    made = "def f(words):\n    return [w.lower() for w in words]\n"
    also = "def f(words):\n    return [every.lower() for every in words]  # one pass\n"
    assert alike(change(loop, made), change(other, also)) == 1.0
    assert alike(change("N = 1\n", "N = 2\n"), change("N = 1\n", "N = 3\n")) == 0.0
    assert alike(change(loop, made), change(loop, loop.replace("lower", "upper"))) < 0.5


def test_features_do_not_see_comments_texts_and_names_of_variables() -> None:
    before = "def f(a):\n    return a\n"
    assert change(before, before.replace("(a)", "(b)").replace("n a", "n b")).features == frozenset()
    assert change(before, before + "# for x in sorted(y)\n").features == frozenset()
    assert change(before, before.replace("return a", "return 'for if g(1)'")).features == frozenset()


def test_places_are_functions_or_files() -> None:
    facts = change("def f():\n    return 1\n", "def f():\n    return sum([1])\n")
    assert facts.places == ("train.py::f",)
    assert facts.files == ("train.py",)
    assert facts.entities == (("f", Way.CHANGE),)
    assert facts.isolated


def test_two_knobs_are_not_isolated() -> None:
    assert not change("A = 1\nB = 1\n", "A = 2\nB = 2\n").isolated


def test_aliases_come_from_tags_and_are_all_that_they_can_change() -> None:
    tags = ("alias:N_STACKS=depth", "alias:nothing", "family:x")
    assert aliases_of(tags) == {"n_stacks": "depth"}
    facts = of_diff(unified({"a.py": "N_STACKS = 1\n"}, {"a.py": "N_STACKS = 2\n"}), aliases_of(tags))
    assert facts.entities == (("depth", Way.UP),)
    assert facts.knobs == (Knob("N_STACKS", "1", "2"),)


def test_each_word_of_the_table_stands_for_one_entity() -> None:
    words = [word for entity in ENTITIES for word in ENTITIES[entity].split()]
    assert len(words) == len(set(words))
    assert all(entity_of(word) == entity for entity, group in ENTITIES.items() for word in group.split())


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("train.MATRIX_LR", "learning rate"),
        ("EMBEDDING_LR", "learning rate"),
        ("ADAM_WEIGHT_DECAY", "weight decay"),
        ("DEVICE_BATCH_SIZE", "batch size"),
        ("num_predict", "answer length"),
        ("count_words", "count_words"),
        ("block_text", "block_text"),
    ],
)
def test_names_of_a_project_stand_for_what_they_end_in(name: str, entity: str) -> None:
    assert entity_of(name) == entity


@given(st.text(max_size=300))
def test_any_text_has_facts(text: str) -> None:
    assert of_text(text) == of_text(text)
    of_diff(text)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_a_change_and_its_undoing_are_opposed(old: int, new: int) -> None:
    there, back = change(f"N = {old}\n", f"N = {new}\n"), change(f"N = {new}\n", f"N = {old}\n")
    assert opposed(there, back) == (old != new)
    assert alike(there, back) == 0.0
    assert all(OPPOSITE[OPPOSITE[way]] is way for way in OPPOSITE)
