"""Views of a file leave out whole statements, say how many lines, and stay Python."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

import pytest

import optiloop
from optiloop.definitions import definitions
from optiloop.proposers.llm.views import alone, blocks_of, nearest, needed, outline, window

FILES = sorted(Path(optiloop.__file__).parent.rglob("*.py"))
SOME = random.Random(1).sample(FILES, 25)


def left_out(view: str) -> int:
    return sum(int(number) for number in re.findall(r"# (\d+) lines? left out$", view, re.MULTILINE))


def kept(view: str) -> int:
    return sum(not re.search(r"# \d+ lines? left out$", line) for line in view.split("\n"))


@pytest.mark.parametrize("file", SOME, ids=lambda file: file.name)
def test_a_view_is_python_and_counts_what_is_gone(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    functions = [it for it in definitions(text) if it.is_function]
    views = [outline(text), window(text, 2, 3, path=file.name)]
    for it in functions[:: max(1, len(functions) // 4)]:
        some = [outline(text, [it.name]), needed(text, it.name), alone(text, it.name)]
        own = "\n".join(lines[it.first - 1 : it.last])
        assert all(f"{own}\n" in f"{view}\n" for view in some)
        assert [len(view) for view in some] == sorted((len(view) for view in some), reverse=True)
        views += some
    for view in views:
        ast.parse(view)
        if "def left_out" not in text and "left out" not in text:
            assert left_out(view) + kept(view) == len(lines)


def test_functions_that_are_named_are_nearest() -> None:
    methods = "    def e(self):\n        self.f(b())\n    def f(self): ...\n"
    text = f"def a():\n    c()\n\n\ndef b(): ...\ndef c(): ...\nclass D:\n{methods}"
    assert nearest(text, "a") == ["a", "c", "b", "D.e", "D.f"]
    assert nearest(text, "D.e") == ["D.e", "b", "D.f", "a", "c"]


def test_what_is_no_python_stays_whole_but_for_windows() -> None:
    text = "def f(:\n\n  x\n\n  y\n"
    assert outline(text) == needed(text, "f") == alone(text, "f") == text
    assert window(text, 1, 1, path="a.py") == "# 2 lines left out\n  x\n# 3 lines left out"
    assert blocks_of(text, "a.py") == 3


@pytest.mark.parametrize("text", ["", "\n\n", "one", "one\ntwo\n"])
def test_small_texts_have_windows(text: str) -> None:
    number = blocks_of(text, "a.txt")
    assert window(text, number, 5, path="a.txt") == text
    assert left_out(window(text, 0, 0, path="a.txt")) in (0, text.count("\n") + 1)
