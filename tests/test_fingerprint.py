"""Fingerprints look through wording and never through meaning."""

from __future__ import annotations

import ast
import keyword
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from remembering.edits import CHANGING, KEEPING
from remembering.ideas import Idea, ideas, mislabelled

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


C = "def f(x):\n    return Counter(x)\n"
T = "def f(x):\n    {}\n    {}\n"
TAIL = "def f(a, c):\n    {}\n"

SAME_STRUCTURE = {
    "a name of a module, and a module": (
        "from collections import Counter\n" + C,
        "import collections\ndef f(x):\n    return collections.Counter(x)\n",
    ),
    "another name for a module": ("import numpy as np\ny = np.sum(3)\n", "import numpy\ny = numpy.sum(3)\n"),
    "another name for what is imported": (
        "from a import b\ny = b(3)\n",
        "from a import b as c\ny = c(3)\n",
    ),
    "two names of one module": (
        "from math import sin, cos\ny = sin(1) + cos(1)\n",
        "import math as m\ny = m.sin(1) + m.cos(1)\n",
    ),
    "a value returned by a name": (T.format("y = g(x)", "return y"), T.format("return g(x)", "pass")),
    "steps that follow each other": (
        "def f(x):\n    a = sorted(x)\n    b = len(a)\n    return b + 1\n",
        "def f(x):\n    return len(sorted(x)) + 1\n",
    ),
    "two steps in their order": (
        "def f(x):\n    a = g(x)\n    b = h(x)\n    return max(a, b)\n",
        "def f(x):\n    return max(g(x), h(x))\n",
    ),
    "what a loop goes through": (
        "def f(x):\n    a = g(x)\n    for y in a:\n        print(y)\n",
        "def f(x):\n    for y in g(x):\n        print(y)\n",
    ),
    "what a list is given": (
        "def f(x):\n    a = []\n    b = g(x)\n    a.append(b)\n    return a, 1\n",
        "def f(x):\n    a = []\n    a.append(g(x))\n    return a, 1\n",
    ),
    "a private constant": ("_K = 8\ndef f():\n    return _K\n", "def f():\n    return 8\n"),
    "a private constant beside a list of public names": (
        "__all__ = ['f']\n_K = 8\ndef f():\n    return _K\n",
        "__all__ = ['f']\ndef f():\n    return 8\n",
    ),
    "a private sum": ("_K = -(2 * 8)\ndef f():\n    return _K\n", "def f():\n    return -16\n"),
    "a private tuple": ("_K = (1, 'a')\ndef f():\n    return _K\n", "def f():\n    return (1, 'a')\n"),
    "arithmetic with a private constant": (
        "_K: int = 512\ndef f():\n    return 2 * _K\n",
        "def f():\n    return 1024\n",
    ),
    "the name of a private value": (
        "import re\n_A = re.compile('x')\ndef f(t):\n    return _A.sub('', t)\n",
        "import re\n_B = re.compile('x')\ndef f(t):\n    return _B.sub('', t)\n",
    ),
    "the name of a private function": (
        "def _a(n):\n    return n and _a(n - 1)\ndef f(t):\n    return _a(t)\n",
        "def _b(n):\n    return n and _b(n - 1)\ndef f(t):\n    return _b(t)\n",
    ),
    "else past a return": (
        "def f(a):\n    if a:\n        return 1\n    else:\n        return g()\n",
        "def f(a):\n    if a:\n        return 1\n    return g()\n",
    ),
    "a choice of what is returned": (
        "def f(a):\n    if not a:\n        return 2\n    return 1\n",
        "def f(a):\n    return 1 if a else 2\n",
    ),
    "a choice of a local": (
        "def f(a):\n    b = 1 if a else 2\n    return b, b\n",
        "def f(a):\n    if a:\n        b = 1\n    else:\n        b = 2\n    return b, b\n",
    ),
    "a guard in a loop": (
        "def f(a):\n    for b in a:\n        if b is None:\n            continue\n        g(b)\n",
        "def f(a):\n    for b in a:\n        if b is not None:\n            g(b)\n",
    ),
    "a guard of a function": (
        "def f(a):\n    if a in b:\n        return\n    g(a)\n",
        "def f(a):\n    if a not in b:\n        g(a)\n    return None\n",
    ),
    "denied membership": ("x = not a in b\n", "x = a not in b\n"),
    "a denied choice": ("x = 1 if not a else 2\n", "x = 2 if a else 1\n"),
    "a range from nought": ("x = range(0, n)\n", "x = range(n)\n"),
    "a range by one": ("x = range(2, n, 1)\n", "x = range(2, n)\n"),
    "locals given at once": (
        "def f():\n    a, b = 0, 1\n    return b, a\n",
        "def f():\n    a = 0\n    b = 1\n    return b, a\n",
    ),
    "locals given at once, of what others are not": (
        "def f(x):\n    a, b = 0, len(x)\n    return a, b, a, b\n",
        "def f(x):\n    a = 0\n    b = len(x)\n    return a, b, a, b\n",
    ),
    "constants given at once": ("A, B = 1, 'b'\n", "A = 1\nB = 'b'\n"),
    "a private constant given with another": ("_A, _B = 1, 2\nx = _A + y + _B\n", "x = 1 + y + 2\n"),
    "else of a loop that is never broken off": (
        "def f(a):\n    for b in a:\n        if b:\n            return b\n    else:\n        return 1\n",
        "def f(a):\n    for b in a:\n        if b:\n            return b\n    return 1\n",
    ),
    "an annotated private value": ("_A: dict[int, int] = {}\nx = _A\n", "_A = {}\nx = _A\n"),
    "an endless loop": ("while 1:\n    g()\n", "while True:\n    g()\n"),
    "an annotation by a class": (
        "class A: ...\ndef f(x: A): ...\n",
        "class A: ...\ndef f(x): ...\n",
    ),
    "an annotation that means nothing": (
        "from a import B\ndef f(x: B[int] | None) -> list[str]: return x\nB()\n",
        "from a import B\ndef f(x): return x\nB()\n",
    ),
}


@pytest.mark.parametrize("name", SAME_STRUCTURE)
def test_structure_is_looked_through(name: str) -> None:
    one, other = SAME_STRUCTURE[name]
    assert result(one) == result(other)


K = "_K = 8\ndef f():\n    return _K\n"
EIGHT = "def f():\n    return 8\n"
MODULE = "import collections\ndef f(x):\n    return collections.Counter(x)\n"

NOT_SURE = {
    "an import that is not used": ("import os\nx = 1\n", "x = 1\n"),
    "an import beside the one that is used": (
        "import collections\nfrom collections import Counter\n" + C,
        "from collections import Counter\n" + C,
    ),
    "an import in a function": (
        "from collections import Counter\n" + C,
        "def f(x):\n    from collections import Counter\n    return Counter(x)\n",
    ),
    "a submodule": (
        "from concurrent import futures\nx = futures.Executor()\n",
        "import concurrent\nx = concurrent.futures.Executor()\n",
    ),
    "a submodule of a plain module": (
        "from collections import abc\nx = abc.Sized\n",
        "import collections\nx = collections.abc.Sized\n",
    ),
    "what may be assigned to in its module": (
        "from sys import stdout\nstdout.write('')\n",
        "import sys\nsys.stdout.write('')\n",
    ),
    "what is assigned to in its module": (
        "import math\nmath.sin = abs\nx = math.sin(1)\n",
        "import math as m\nfrom math import sin\nm.sin = abs\nx = sin(1)\n",
    ),
    "an import over a builtin that was read before": (
        "x = pow(2, 3)\nfrom math import pow\n",
        "import math\nx = math.pow(2, 3)\n",
    ),
    "names that are listed": ("__all__ = ['_K']\n" + K, "__all__ = ['_K']\n" + EIGHT),
    "names that are listed somehow": ("__all__ = g()\n" + K, "__all__ = g()\n" + EIGHT),
    "names that are looked up": (K + "x = globals()\n", EIGHT + "x = globals()\n"),
    "names in a text": (K + "x = 'a._K'\n", EIGHT + "x = 'a._K'\n"),
    "a constant that fails": (K.replace("8", "8 / 0"), EIGHT.replace("8", "8 / 0")),
    "a public constant": (K.replace("_K", "K"), EIGHT),
    "a constant assigned twice": ("_K = 7\n" + K, EIGHT),
    "a constant changed by a function": (
        K + "def g():\n    global _K\n    _K = 9\n",
        EIGHT + "def g():\n    global _K\n    _K = 9\n",
    ),
    "a constant counted up": (K + "_K += 1\n", EIGHT),
    "a constant deleted": (K + "del _K\n", EIGHT),
    "a constant read too early": ("x = _K\n_K = 8\n", "x = 8\n"),
    "a parameter of the same name": (
        "_K = 8\ndef f(_K):\n    return _K\n",
        "def f(_K):\n    return 8\n",
    ),
    "a field of the same name": (
        "_K = 8\nclass A:\n    _K = 9\n    x = _K\n",
        "class A:\n    _K = 9\n    x = 8\n",
    ),
    "a list made once": (K.replace("8", "[8]"), EIGHT.replace("8", "[8]")),
    "a set made once": (K.replace("8", "{8}"), EIGHT.replace("8", "{8}")),
    "one object and another of its value": (
        "_K = 'a b'\ndef f(x):\n    return x is _K\n",
        "def f(x):\n    return x is 'a b'\n",
    ),
    "a constant that is not used": ("_K = 8\nx = 1\n", "x = 1\n"),
    "two lists and one": (
        "_A = []\n_B = []\ndef f():\n    return _A, _B\n",
        "_A = []\n_B = []\ndef f():\n    return _A, _A\n",
    ),
    "which of two lists": (
        "_A = []\n_B = []\ndef f():\n    _A.append(1)\ndef g():\n    return _A\n",
        "_A = []\n_B = []\ndef f():\n    _A.append(1)\ndef g():\n    return _B\n",
    ),
    "a name that a function tells": (
        "def _a(): ...\nx = _a.__name__\n",
        "def _b(): ...\nx = _b.__name__\n",
    ),
    "a step used twice": (T.format("a = g(x)", "return a, a"), T.format("return g(x), g(x)", "pass")),
    "a step that comes later": (T.format("a = g(x)", "return h(), a"), T.format("return h(), g(x)", "pass")),
    "steps in another order": (
        "def f(x):\n    a = g(x)\n    b = h(x)\n    return max(b, a)\n",
        "def f(x):\n    return max(h(x), g(x))\n",
    ),
    "a step that one way skips": (
        T.format("a = g(x)", "return x and a"),
        T.format("return x and g(x)", "pass"),
    ),
    "a step that a condition skips": (
        T.format("a = g(x)", "return a if x else 1"),
        T.format("return g(x) if x else 1", "pass"),
    ),
    "a step in a longer comparison": (
        T.format("a = g(x)", "return 0 < x < a"),
        T.format("return 0 < x < g(x)", "pass"),
    ),
    "a step of each round": (
        T.format("a = g(x)", "return [y + a for y in x]"),
        T.format("return [y + g(x) for y in x]", "pass"),
    ),
    "a condition of each round": (
        "def f(x):\n    a = g(x)\n    while a:\n        h()\n",
        "def f(x):\n    while g(x):\n        h()\n",
    ),
    "a step put off": (T.format("a = g(x)", "return lambda: a"), T.format("return lambda: g(x)", "pass")),
    "a step into a `try`": (
        "def f(x):\n    a = g(x)\n    try:\n        return a\n    except E:\n        return 1\n",
        "def f(x):\n    try:\n        return g(x)\n    except E:\n        return 1\n",
    ),
    "a step that python -O leaves out": (
        "def f(x):\n    a = g(x)\n    assert a\n",
        "def f(x):\n    assert g(x)\n",
    ),
    "an attribute read later": (
        "def f(x):\n    a = g(x)\n    return x.y(a)\n",
        "def f(x):\n    return x.y(g(x))\n",
    ),
    "an item read later": (
        "def f(x):\n    a = x.pop()\n    return x[0] + a\n",
        "def f(x):\n    return x[0] + x.pop()\n",
    ),
    "a module's variable read later": (
        "n = 1\ndef step():\n    global n\n    n += 1\ndef f():\n    a = step()\n    return n, a\n",
        "n = 1\ndef step():\n    global n\n    n += 1\ndef f():\n    return n, step()\n",
    ),
    "an outer variable read later": (
        "def f(n):\n    def g():\n        nonlocal n\n        n += 1\n    a = g()\n    return n, a\n",
        "def f(n):\n    def g():\n        nonlocal n\n        n += 1\n    return n, g()\n",
    ),
    "a step that binds": (
        "def f(x):\n    a = (y := x)\n    return y, a\n",
        "def f(x):\n    return y, (y := x)\n",
    ),
    "what a text shows first": (
        "def f(x):\n    a = g(x)\n    return f'{x}{a}'\n",
        "def f(x):\n    return f'{x}{g(x)}'\n",
    ),
    "what is unpacked first": (
        "def f(x):\n    a = g(x)\n    return h(*x, a)\n",
        "def f(x):\n    return h(*x, g(x))\n",
    ),
    "what an attribute is added to": (
        "def f(x):\n    a = g(x)\n    x.y += a\n",
        "def f(x):\n    x.y += g(x)\n",
    ),
    "else past what goes on": (
        "def f(a):\n    if a:\n        g()\n    else:\n        h()\n    return a\n",
        "def f(a):\n    if a:\n        g()\n    h()\n    return a\n",
    ),
    "what follows a loop": (
        "def f(a):\n    for b in a:\n        if b:\n            break\n        g()\n",
        "def f(a):\n    for b in a:\n        if b:\n            continue\n        g()\n",
    ),
    "a guard before the end": (
        "def f(a):\n    for b in a:\n        if b:\n            g()\n        h()\n",
        "def f(a):\n    for b in a:\n        if not b:\n            continue\n        g()\n        h()\n",
    ),
    "what a loop does when it ends": (
        "def f(a):\n    for b in a:\n        if b:\n            break\n    else:\n        h()\n",
        "def f(a):\n    for b in a:\n        if b:\n            break\n    h()\n",
    ),
    "which way": (
        "def f(a):\n    return 1 if a else 2\n",
        "def f(a):\n    return 2 if a else 1\n",
    ),
    "denied equality": ("x = not a == b\n", "x = a != b\n"),
    "denied order": ("x = not a < b\n", "x = a >= b\n"),
    "denied twice": ("x = not not a\n", "x = a\n"),
    "counting up": (T.format("x = x + [1]", "return x"), T.format("x += [1]", "return x")),
    "a range of one's own": (
        "def range(*a): ...\nx = range(0, n)\n",
        "def range(*a): ...\nx = range(n)\n",
    ),
    "a range that is given": (
        "def f(range):\n    return range(0, 1)\n",
        "def f(range):\n    return range(1)\n",
    ),
    "a range from one": ("x = range(1, n)\n", "x = range(n)\n"),
    "a range of several": ("x = range(0, *n)\n", "x = range(*n)\n"),
    "locals given at once, each from another": (
        "def f(a, b):\n    a, b = b, a\n    return a, b\n",
        "def f(a, b):\n    a = b\n    b = a\n    return a, b\n",
    ),
    "locals given at once, where one may fail": (
        "def f(x):\n    try:\n        c, b = 0, x()\n    except E:\n        b = c\n    return c\n",
        "def f(x):\n    try:\n        c = 0\n        b = x()\n    except E:\n        b = c\n    return c\n",
    ),
    "locals given at once, where a function looks": (
        "def f(x):\n    a = 1\n    def g():\n        return a\n    a, b = 0, g()\n    return a, b\n",
        "def f(x):\n    a = 1\n    def g():\n        return a\n    a = 0\n    b = g()\n    return a, b\n",
    ),
    "one local given twice at once": (
        "def f():\n    a, a = 0, 1\n    return a, a\n",
        "def f():\n    a = 0\n    a = 1\n    return a, a\n",
    ),
    "names of a module given at once": ("A, B = 1, f()\n", "A = 1\nB = f()\n"),
    "an annotation that cannot be evaluated": ("def f(x: Missing): ...\n", "def f(x): ...\n"),
    "an annotation that cannot be evaluated yet": (
        "def f(x: A): ...\nclass A: ...\n",
        "def f(x): ...\nclass A: ...\n",
    ),
    "a builtin that has no items": ("def f(x: any[int]): ...\n", "def f(x): ...\n"),
    "a text beside a type": ("def f(x: 'A' | None): ...\n", "def f(x): ...\n"),
}


@pytest.mark.parametrize("name", NOT_SURE)
def test_what_is_not_certain_is_different(name: str) -> None:
    one, other = NOT_SURE[name]
    assert result(one) != result(other)


def test_a_name_that_another_file_knows_keeps_its_spelling() -> None:
    user = {"user.py": "from a import _K\n"}
    assert result_fingerprint({"a.py": K} | user) != result_fingerprint({"a.py": EIGHT} | user)
    stranger = {"user.py": "from b import _K\n"}
    assert result_fingerprint({"a.py": K} | stranger) == result_fingerprint({"a.py": EIGHT} | stranger)


def test_a_change_of_a_private_value_is_one_of_that_alone() -> None:
    old, new = "def _a():\n    return 1\n", "def _a():\n    return 2\n"
    one, other = "def f():\n    return _a()\n", "def g():\n    return _a() + 1\n"
    assert change(old + one, new + one) == change(old + other, new + other)


def test_an_added_private_function_may_have_any_name() -> None:
    base = "def f(t):\n    return t\n"
    one = "def _a(t):\n    return t * 2\ndef f(t):\n    return _a(t)\n"
    assert change(base, one) == change(base, one.replace("_a", "_twice"))
    assert change(base, one) != change(base, one.replace("_a", "twice"))


def test_text_that_does_not_parse_is_compared_without_trailing_space() -> None:
    assert result("def f(:  \n") == result("def f(:\n")
    assert result("def f(:\n") != result("def g(:\n")


def test_other_files_are_compared_by_line() -> None:
    assert result("a \nb\n", "a.txt") == result("a\nb", "a.txt")
    assert result(" a\n", "a.txt") != result("a\n", "a.txt")


SAME_TEXT = {
    "numbers in JSON": ("a.json", '{"a": 1e-4}', '{\n  "a": 0.0001\n}\n'),
    "layout and comments in TOML": ("a.toml", "a=1e-4 # small\n[b]\nc=[1,2]\n", "a = 0.0001\nb.c = [1, 2]\n"),
    "layout and comments in YAML": ("a.yaml", "a: [1, x] # y\n", "a:\n  - 1\n  - 'x'\n"),
    "numbers in YAML": ("a.yml", "a: 1.50\nb: True\n", "a: 1.5\nb: true\n"),
    "blanks between words": ("a.md", "Say  it.\n", "Say it. \n"),
    "how a paragraph is wrapped": (
        "a.prompt",
        "You are asked to say it in ten\nwords, or in fewer.\n\n- one\n",
        "You are asked to\nsay it in ten words, or in fewer.\n\n\n- one\n",
    ),
    "comments and layout in C": (
        "a.c",
        "int f(int a) { // adds\n  return a + 1; /* one */\n}\n",
        "int f(int a)\n{\n  return a+1;\n}\n",
    ),
    "layout beside an #include": ("a.cpp", "#include <x>\n\nint a;\n", "#include <x>\nint  a;\n"),
    "comments and layout in JavaScript": (
        "a.js",
        "// first\nlet a = 1 // one\nf( a )\n",
        "let a = 1\n\nf(a)\n",
    ),
    "comments in Go": ("a.go", "x := 1 // one\ny()\n", "x := 1\ny()\n"),
    "comments in Rust": ("a.rs", "// Adds.\nfn f() { g( ) }\n", "fn f() { /* so */ g() }\n"),
    "layout in Java": ("a.java", "int a = b  + 1;\n", "int a\n  = b+1;\n"),
    "layout in CSS": ("a.css", "a  b {\n  c: d; /* e */\n}\n", "a b { c: d; }\n"),
    "layout in SQL": ("a.sql", "select  a -- all\nfrom b\n", "select a\nfrom b\n"),
    "ends of lines": ("a.sh", "a  \r\nb\r\n", "a\nb\n"),
}


@pytest.mark.parametrize("name", SAME_TEXT)
def test_wording_of_other_files_does_not_matter(name: str) -> None:
    path, one, other = SAME_TEXT[name]
    assert result(one, path) == result(other, path)


PROSE = "You are asked to say it in ten words, or in fewer.\n"

DIFFERENT_TEXT = {
    "values in JSON": ("a.json", '{"a": 1}', '{"a": 2}'),
    "broken JSON": ("a.json", '{"a": ', '{"b": '),
    "keys of JSON in another order": ("a.json", '{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
    "a key of JSON said twice": ("a.json", '{"a": 1, "a": 2}', '{"a": 2}'),
    "numbers too large for JSON": ("a.json", '{"a": 1e999}', '{"a": 1e9999}'),
    "types in TOML": ("a.toml", "a = 1\n", "a = 1.0\n"),
    "a truth and a number in TOML": ("a.toml", "a = 1\n", "a = true\n"),
    "tables of TOML in another order": ("a.toml", "a = 1\nb = 2\n", "b = 2\na = 1\n"),
    "broken TOML": ("a.toml", "a = \n", "b = \n"),
    "types in YAML": ("a.yaml", "a: 1\n", "a: '1'\n"),
    "words of YAML 1.1": ("a.yaml", "a: yes\n", "a: true\n"),
    "octal numbers of YAML 1.1": ("a.yaml", "a: 010\n", "a: 8\n"),
    "numbers that YAML 1.1 reads as words": ("a.yaml", "a: 1e-4\n", "a: 0.0001\n"),
    "tags of YAML": ("a.yaml", "a: !b c\n", "a: c\n"),
    "one list and two lists in YAML": ("a.yaml", "a: &x [1]\nb: *x\n", "a: [1]\nb: [1]\n"),
    "what a first line says in YAML": ("a.yaml", "#cloud-config\na: 1\n", "a: 1\n"),
    "broken YAML": ("a.yaml", "a: [\n", "b: [\n"),
    "words": ("a.md", "Say it.\n", "Say that.\n"),
    "paragraphs": ("a.md", PROSE + PROSE, PROSE + "\n" + PROSE),
    "headings": ("a.md", "# Now\n" + PROSE, "# Now " + PROSE),
    "items": ("a.md", "- one\n- two\n", "- one - two\n"),
    "labels": (
        "a.txt",
        "Ask it.\nAnswer: all is said and all is well done.\n",
        "Ask it. Answer: all is said and all is well done.\n",
    ),
    "words line by line": ("a.txt", "pear\nplum fig\n", "pear plum\nfig\n"),
    "code in a prompt": ("a.md", "```\na  b\n```\n", "```\na b\n```\n"),
    "what follows code": ("a.md", "```\na\n```\n  b  c\n", "```\na\n```\n  b c\n"),
    "indented code": ("a.md", "    a\n", "a\n"),
    "lines of a template": ("a.j2", "{% if a %}\n" + PROSE, "{% if a %} " + PROSE),
    "texts in C": ("a.c", 'f("  ");\n', 'f("");\n'),
    "signs that join": ("a.c", "a = b - -c;\n", "a = b--c;\n"),
    "words that join": ("a.c", "int a;\n", "inta;\n"),
    "a macro with arguments": ("a.c", "#define A(x) x\n", "#define A (x) x\n"),
    "the end of a macro": ("a.c", "#define A\nint b;\n", "#define A int b;\n"),
    "a macro over two lines": (
        "a.c",
        "#define A(x) \\\n  x // so\nint b;\n",
        "#define A(x) \\\n  x int b;\n",
    ),
    "what macros make a text of": (
        "a.c",
        "#define S(x) #x\nf(S(a + b));\n",
        "#define S(x) #x\nf(S(a+b));\n",
    ),
    "the number of a line": ("a.c", "\nf(__LINE__);\n", "f(__LINE__);\n"),
    "a pragma": ("a.c", "#pragma omp for\nf();\n", "f();\n"),
    "what is commented out": ("a.c", "f(); // g();\nh();\n", "f(); g();\nh();\n"),
    "ends of statements in JavaScript": ("a.js", "return\na\n", "return a\n"),
    "a comment over lines in JavaScript": ("a.js", "return /* a\n */ b\n", "return b\n"),
    "texts in JavaScript": ("a.js", "f(`a  b`)\n", "f(`a b`)\n"),
    "a comment that tools read": ("a.js", "/*#__PURE__*/ f()\n", "f()\n"),
    "a check switched off": ("a.ts", "// @ts-nocheck\nf()\n", "f()\n"),
    "when Go builds": ("a.go", "//go:build linux\nf()\n", "f()\n"),
    "C within Go": ("a.go", '// int x;\nimport "C"\n', 'import "C"\n'),
    "a hint in SQL": ("a.sql", "select /*+ full(b) */ a\n", "select a\n"),
    "a selector in CSS": ("a.css", "a .b { c: d }\n", "a.b { c: d }\n"),
    "indentation of other files": ("a.mk", "a:\n\tb\n", "a:\nb\n"),
    "a blank past a backslash": ("a.sh", "a \\ \nb\n", "a \\\nb\n"),
}


@pytest.mark.parametrize("name", DIFFERENT_TEXT)
def test_meaning_of_other_files_does_matter(name: str) -> None:
    path, one, other = DIFFERENT_TEXT[name]
    assert result(one, path) != result(other, path)


@given(st.text(max_size=100), st.sampled_from([path for path, _, _ in DIFFERENT_TEXT.values()]))
def test_any_file_has_a_fingerprint(text: str, path: str) -> None:
    assert len(result(text, path)) == 32


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


ROOT = Path(__file__).parents[1]
MODULES = (
    "targets/text_processor/text_processor.py",
    "benchmarks/naive/parsing.py",
    "benchmarks/naive/graphs.py",
)
TEXTS = {path: (ROOT / path).read_text(encoding="utf-8") for path in MODULES}
slow = settings(deadline=None, max_examples=25)


@slow
@given(st.sampled_from(MODULES), st.sampled_from(sorted(CHANGING)), st.integers(0, 10**6))
def test_an_edit_that_changes_a_program_is_seen(path: str, edit: str, seed: int) -> None:
    edited = CHANGING[edit](TEXTS[path], random.Random(seed))
    assert edited is None or result(edited) != result(TEXTS[path])


@slow
@given(
    st.sampled_from(MODULES),
    st.sets(st.sampled_from(sorted(KEEPING)), min_size=1, max_size=3),
    st.integers(0, 10**6),
)
def test_an_edit_that_keeps_a_program_is_not(path: str, edits: set[str], seed: int) -> None:
    edited = TEXTS[path]
    for name in sorted(edits):
        edited = KEEPING[name](edited, random.Random(seed)) or edited
    assert result(edited) == result(TEXTS[path])


@slow
@given(
    st.sampled_from(MODULES),
    st.sampled_from(sorted(KEEPING)),
    st.sampled_from(sorted(CHANGING)),
    st.integers(0, 10**6),
)
def test_a_change_is_seen_under_other_wording(path: str, keeping: str, changing: str, seed: int) -> None:
    edited = CHANGING[changing](TEXTS[path], random.Random(seed))
    reworded = edited and KEEPING[keeping](edited, random.Random(seed))
    assert not reworded or result(reworded) != result(TEXTS[path])


@pytest.mark.parametrize("idea", ideas(), ids=lambda idea: idea.name)
def test_labelled_patches_that_differ_are_never_merged(idea: Idea) -> None:
    assert not list(mislabelled(idea))
    assert not [pair for pair in idea.different_pairs if result(pair[0]) == result(pair[1])]
    assert any(result(one) == result(other) for one, other in idea.equal_pairs)
