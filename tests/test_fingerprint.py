"""Fingerprints look through wording and never through meaning."""

from __future__ import annotations

import ast
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint


def result(text: str, path: str = "a.py") -> str:
    return result_fingerprint({path: text})


def change(before: str, after: str) -> str:
    return change_fingerprint({"a.py": before}, {"a.py": after})


SAME = {
    "layout": ("x = [1,\n  2]\n", "x=[1, 2]"),
    "comments": ("x = 1  # one\n", "# first\nx = 1\n"),
    "docstrings": ('def f():\n    """Say."""\n    return 1\n', "def f():\n    return 1\n"),
    "annotations": (
        "def f(a: int) -> int:\n    b: int = a\n    return b\n",
        "def f(a):\n    b = a\n    return b\n",
    ),
    "decimals": ("RATE = 1e-4\n", "RATE = 0.0001\n"),
    "arithmetic": ("RATE = 1e-4\n", "RATE = 5e-5 * 2\n"),
    "powers": ("SIZE = 1024\n", "SIZE = 2**10\n"),
    "locals": ("def f(a):\n    b = a\n    return b\n", "def f(a):\n    c = a\n    return c\n"),
    "loop variables": (
        "def f(a):\n    for i in a:\n        print(i)\n",
        "def f(a):\n    for item in a:\n        print(item)\n",
    ),
    "comprehension variables": ("x = [a for a in (1, 2) if a]\n", "x = [b for b in (1, 2) if b]\n"),
    "closures": (
        "def f():\n    n = 1\n    def g():\n        return n\n    return g\n",
        "def f():\n    m = 1\n    def g():\n        return m\n    return g\n",
    ),
    "import order": ("import os\nimport sys\n", "import sys, os\n"),
    "names of an import": ("from a import b, c\n", "from a import c\nfrom a import b\n"),
}


@pytest.mark.parametrize("name", SAME)
def test_wording_does_not_matter(name: str) -> None:
    one, other = SAME[name]
    assert result(one) == result(other)


DIFFERENT = {
    "constants": ("x = 1\n", "x = 2\n"),
    "an int and a float": ("x = 1\n", "x = 1.0\n"),
    "True and one": ("x = True\n", "x = 1\n"),
    "zero and minus zero": ("x = 0.0\n", "x = -0.0\n"),
    "parameters": ("def f(a):\n    return a\n", "def f(b):\n    return b\n"),
    "globals": ("def f():\n    return a\n", "def f():\n    return b\n"),
    "a declared global": (
        "def f():\n    global a\n    a = 1\n",
        "def f():\n    global b\n    b = 1\n",
    ),
    "locals shown by name": (
        "def f():\n    a = 1\n    return locals()\n",
        "def f():\n    b = 1\n    return locals()\n",
    ),
    "a global beside a comprehension's variable": (
        "def f(z):\n    a = [x for x in z]\n    return x\n",
        "def f(z):\n    a = [w for w in z]\n    return w\n",
    ),
    "a global beside an attribute": (
        "def f():\n    x = 1\n    class C:\n        x = 2\n        def g(self):\n            return x\n",
        "def f():\n    w = 1\n    class C:\n        x = 2\n        def g(self):\n            return x\n",
    ),
    "which local": (
        "def f():\n    a = 1\n    b = 2\n    return a\n",
        "def f():\n    a = 1\n    b = 2\n    return b\n",
    ),
    "the first iterable": (
        "def f(a):\n    x = a\n    return [x for x in x]\n",
        "def f(a):\n    x = a\n    return [y for y in y]\n",
    ),
    "names of nested functions": (
        "def f():\n    def g():\n        pass\n    return g\n",
        "def f():\n    def h():\n        pass\n    return h\n",
    ),
    "fields of a class": ("class A:\n    x: int\n", "class A:\n    x: str\n"),
    "what a decorator can read": ("@d\ndef f(a: int): ...\n", "@d\ndef f(a: str): ...\n"),
    "imports that shadow": ("from a import x\nfrom b import x\n", "from b import x\nfrom a import x\n"),
    "submodules that shadow": ("import a.b\nfrom c import a\n", "from c import a\nimport a.b\n"),
    "one star import": ("from a import *\nfrom b import x\n", "from b import x\nfrom a import *\n"),
    "star imports": ("from a import *\nfrom b import *\n", "from b import *\nfrom a import *\n"),
    "docstrings that are read": ('"""A."""\nprint(__doc__)\n', '"""B."""\nprint(__doc__)\n'),
    "definitions in another order": ("def f(): ...\ndef g(): ...\n", "def g(): ...\ndef f(): ...\n"),
    "paths in strings": ("x = 'a b'\n", "x = 'a  b'\n"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_meaning_does_matter(name: str) -> None:
    one, other = DIFFERENT[name]
    assert result(one) != result(other)


def test_text_that_does_not_parse_is_compared_without_trailing_space() -> None:
    assert result("def f(:  \n") == result("def f(:\n")
    assert result("def f(:\n") != result("def g(:\n")


def test_json_is_compared_by_value() -> None:
    assert result('{"a": 1e-4}', "a.json") == result('{\n  "a": 0.0001\n}\n', "a.json")
    assert result('{"a": 1}', "a.json") != result('{"a": 2}', "a.json")
    assert result('{"a": ', "a.json") != result('{"b": ', "a.json")


def test_other_files_are_compared_by_line() -> None:
    assert result("a \nb\n", "a.txt") == result("a\nb", "a.txt")
    assert result(" a\n", "a.txt") != result("a\n", "a.txt")


def test_the_path_belongs_to_the_program() -> None:
    assert result("x = 1\n", "a.py") != result("x = 1\n", "b.py")


F, FASTER = "def f(a):\n    return sorted(a)[0]\n", "def f(a):\n    return min(a)\n"


def test_a_change_does_not_depend_on_the_other_functions() -> None:
    one, other = "def g():\n    return 1\n", "def g():\n    return 2\n\n\nX = 3\n"
    assert change(F + one, FASTER + one) == change(F + other, FASTER + other)
    assert change(F + one, FASTER + one) != change(FASTER + one, F + one)
    assert change(F + one, FASTER + one) != change(F + one, F + other)


def test_an_added_import_belongs_to_the_change() -> None:
    with_heapq, with_bisect = "import heapq\n" + FASTER, "import bisect\n" + FASTER
    assert change(F, with_heapq) != change(F, with_bisect)
    assert change("import os\n" + F, "import os\n" + with_heapq) == change(F, with_heapq)


def test_a_pure_reordering_is_a_change() -> None:
    one, other, third = "def f(): ...\ndef g(): ...\n", "def g(): ...\ndef f(): ...\n", "def h(): ...\n"
    assert change(one, other) != change(one, one)
    assert change(one, other) != change(one + third, third + one)


def test_changes_of_other_files_are_by_whole_text() -> None:
    assert change_fingerprint({"a.txt": "1"}, {"a.txt": "2"}) != change_fingerprint(
        {"a.txt": "1"}, {"a.txt": "3"}
    )
    assert change_fingerprint({}, {"a.py": "x = 1"}) != change_fingerprint({}, {"a.py": "x = 2"})
    assert change("def f(:\n", "x = 1\n") != change("def f(:\n", "x = 2\n")


names = st.text("abcxyz_", min_size=1, max_size=4).filter(lambda name: not keyword.iskeyword(name))
TEMPLATE = """
def work({p}, q0):
    {a} = {p} + q0
    for {b} in range({a}):
        {a} += [{c} * {b} for {c} in {p}]
    return {a}, outside
"""


@given(
    st.lists(names, min_size=4, max_size=4, unique=True), st.lists(names, min_size=4, max_size=4, unique=True)
)
def test_programs_equal_up_to_local_names_share_a_fingerprint(one: list[str], other: list[str]) -> None:
    p = one[0]
    first = TEMPLATE.format(p=p, a=one[1], b=one[2], c=one[3])
    second = TEMPLATE.format(p=p, a=other[1], b=other[2], c=other[3])
    if p not in other:
        assert result(first) == result(second)
    assert (result(first) == result(TEMPLATE.format(p=other[0], a=one[1], b=one[2], c=one[3]))) == (
        p == other[0]
    ) or other[0] in one


@given(st.integers(0, 10**6) | st.floats(allow_nan=False), st.integers(0, 10**6) | st.floats(allow_nan=False))
def test_numbers_share_a_fingerprint_only_when_python_cannot_tell_them_apart(
    one: float, other: float
) -> None:
    told_apart = repr(one) != repr(other)
    assert (result(f"x = {one!r}") != result(f"x = {other!r}")) == told_apart


@given(st.text(max_size=200))
def test_any_text_has_a_fingerprint(text: str) -> None:
    assert len(result(text)) == 32
    assert change(text, text) == change("", "")


@given(st.sampled_from(sorted(SAME)), st.sampled_from(sorted(DIFFERENT)))
def test_formatting_never_matters(same: str, different: str) -> None:
    for text in (*SAME[same], *DIFFERENT[different]):
        assert result(text) == result(ast.unparse(ast.parse(text)))
