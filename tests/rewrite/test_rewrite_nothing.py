"""Code that must stay as it is: each text is one that a rule could take for its own."""

from __future__ import annotations

import pytest

from optiloop.proposers.rewrite import sites_of
from optiloop.proposers.rewrite.code import PYTHON
from optiloop.proposers.rewrite.table import RULES

BY_NAME = {rule.name: rule for rule in RULES}

NOTHING = {
    "a recursion with one call": (
        "memoise",
        """
def f(n):
    return 1 if n == 0 else n * f(n - 1)
""",
    ),
    "a recursion that prints": (
        "memoise",
        """
def f(n):
    print(n)
    return n if n < 2 else f(n - 1) + f(n - 2)
""",
    ),
    "a method": (
        "memoise",
        """
class C:
    def f(self, n):
        return n if n < 2 else f(n - 1) + f(n - 2)
""",
    ),
    "a recursion that is remembered already": (
        "memoise",
        """
import functools
@functools.cache
def f(n):
    return n if n < 2 else f(n - 1) + f(n - 2)
""",
    ),
    "a recursion on a list it changes": (
        "memoise",
        """
def f(xs):
    if not xs:
        return 0
    xs.pop()
    return f(xs) + f(xs)
""",
    ),
    "a recursion that builds lists": (
        "memoise",
        """
def f(n):
    if n == 0:
        return []
    return f(n - 1) + [n] + f(n - 1)
""",
    ),
    "a generator": (
        "memoise",
        """
def f(n):
    if n:
        yield from f(n - 1)
        yield from f(n - 2)
""",
    ),
    "a sort that counts its swaps": (
        "sort-swaps",
        """
def f(a):
    swaps = 0
    for i in range(len(a)):
        for j in range(len(a) - 1):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
                swaps += 1
    return swaps
""",
    ),
    "swaps that do not sort": (
        "sort-swaps",
        """
def f(a, b):
    for i in range(len(a)):
        for j in range(len(a) - 1):
            if b[i] > b[j]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a
""",
    ),
    "a reversal by swaps": (
        "sort-swaps",
        """
def f(a):
    for i in range(len(a) // 2):
        a[i], a[len(a) - 1 - i] = a[len(a) - 1 - i], a[i]
    return a
""",
    ),
    "a part of a text": (
        "list-membership",
        """
def f(text, words):
    text = text.lower()
    return [w for w in words if w in text]
""",
    ),
    "a dictionary": (
        "list-membership",
        """
def f(words):
    seen = {}
    for w in words:
        if w not in seen:
            seen[w] = 1
    return seen
""",
    ),
    "a dictionary that is asked by key": (
        "list-membership",
        """
def f(words, known):
    return [known[w] for w in words if w in known]
""",
    ),
    "what may be None": (
        "list-membership",
        """
def f(words, known):
    return [w for w in words if known is None or w in known]
""",
    ),
    "a few things": (
        "list-membership",
        """
def f(words, last):
    ends = ["a", last]
    return [w for w in words if w in ends]
""",
    ),
    "what is called for its effect": (
        "hoist-invariant",
        """
shown = {}
def show(color):
    shown.update(color=color)
def f(n):
    for k in range(n):
        show("red")
""",
    ),
    "an error that each round has anew": (
        "hoist-invariant",
        """
def f(texts):
    for text in texts:
        try:
            int(text)
        except ValueError as error:
            yield str(error)
""",
    ),
    "a list of lists": (
        "list-membership",
        """
def f(points):
    seen = []
    for x, y in points:
        if [x, y] not in seen:
            seen.append([x, y])
    return seen
""",
    ),
    "a list that also shrinks": (
        "list-membership",
        """
def f(words):
    waiting = []
    for w in words:
        if w in waiting:
            waiting.remove(w)
        else:
            waiting.append(w)
    return waiting
""",
    ),
    "a question asked once": (
        "list-membership",
        """
def f(words, w):
    words = list(words)
    return w in words
""",
    ),
    "an index that may fail": (
        "list-index",
        """
def f(words, queries):
    out = []
    for q in queries:
        try:
            out.append(words.index(q))
        except ValueError:
            out.append(-1)
    return out
""",
    ),
    "a count of parts of a text": (
        "list-count",
        """
def f(text, parts):
    return [text.count(part) for part in parts]
""",
    ),
    "a scan for what does not change": (
        "join-by-scan",
        """
def f(words, wanted):
    n = 0
    for w in words:
        if w == wanted:
            n += 1
    return n
""",
    ),
    "a scan of what the loop changes": (
        "join-by-scan",
        """
def f(words, more):
    for m in more:
        for w in words:
            if w == m:
                words.append(m + m)
                break
    return words
""",
    ),
    "a loop that carries something over": (
        "map-characters",
        """
def f(text):
    out = ""
    last = ""
    for c in text.lower():
        if c != last:
            out += c
        last = c
    return out
""",
    ),
    "a loop that reads what it writes": (
        "map-characters",
        """
def f(text):
    out = ""
    for c in text.lower():
        if c not in out:
            out += c
    return out
""",
    ),
    "a loop over words": (
        "map-characters",
        """
def f(text):
    out = ""
    for w in text.split():
        out += w.title()
    return out
""",
    ),
    "a loop that stops early": (
        "map-characters",
        """
def f(text):
    out = ""
    for c in text.lower():
        if c == ".":
            break
        out += c
    return out
""",
    ),
    "a queue that is filled again": (
        "consume-in-order",
        """
def f(xs):
    while xs:
        x = xs.pop(0)
        if x > 1:
            xs.append(x // 2)
""",
    ),
    "a queue that is sliced": (
        "list-as-queue",
        """
def f(xs):
    queue = list(xs)
    while queue:
        queue.pop(0)
        print(queue[1:])
""",
    ),
    "a queue that is given away": (
        "list-as-queue",
        """
def f(xs, g):
    queue = list(xs)
    while queue:
        queue.pop(0)
        g(queue)
""",
    ),
    "a stack": (
        "list-as-queue",
        """
def f(xs):
    stack = list(xs)
    while stack:
        stack.pop()
""",
    ),
    "a path that is branched": (
        "grow-in-place",
        """
def f(path, n):
    for k in range(n):
        path = path + [k]
    return path
""",
    ),
    "a list that is kept at each step": (
        "grow-in-place",
        """
def f(n):
    path = []
    all = []
    for k in range(n):
        path = path + [k]
        all.append(path)
    return all
""",
    ),
    "a copy for each round": (
        "hoist-invariant",
        """
def f(base, n):
    rows = []
    for k in range(n):
        row = list(base)
        row[k] = 1
        rows.append(row)
    return rows
""",
    ),
    "what the loop changes": (
        "hoist-invariant",
        """
def f(xs):
    out = []
    while xs:
        smallest = min(xs)
        xs.remove(smallest)
        out.append(smallest)
    return out
""",
    ),
    "a random generator handed on": (
        "hoist-invariant",
        """
def word(rng, n):
    return "".join(rng.choice("ab") for _ in range(n))
def f(rng):
    return [word(rng, 7) for _ in range(9)]
""",
    ),
    "a random choice": (
        "hoist-invariant",
        """
import random
def pick(xs):
    return random.choice(xs)
def f(xs, n):
    return [pick(xs) for _ in range(n)]
""",
    ),
    "a sum from the end": (
        "prefix-sums",
        """
def f(xs):
    return [sum(xs[-k:len(xs)]) for k in range(3)]
""",
    ),
    "a special character": (
        "plain-regex",
        """
import re
def f(text):
    return re.sub("a.c", "x", text)
""",
    ),
    "a text that is read while it grows": (
        "join-pieces",
        """
def f(words):
    out = ""
    for w in words:
        if out != "":
            out += " "
        out += w
    return out
""",
    ),
    "a number": (
        "join-pieces",
        """
def f(xs):
    total = 0
    for x in xs:
        total += x
    return total
""",
    ),
    "a list that is read while it grows": (
        "append-loop",
        """
def f(n):
    xs = [1]
    for k in range(n):
        xs.append(xs[-1] * 2)
    return xs
""",
    ),
    "a loop variable that is read later": (
        "append-loop",
        """
def f(words):
    out = []
    for w in words:
        out.append(w)
    return out, w
""",
    ),
    "floats": (
        "sum-loop",
        """
def f(xs):
    total = 0.0
    for x in xs:
        total += x
    return total
""",
    ),
    "elements that are changed": (
        "direct-iteration",
        """
def f(xs):
    for i in range(len(xs)):
        xs[i] = xs[i] + 1
    return xs
""",
    ),
    "a step in the middle": (
        "while-to-range",
        """
def f(xs):
    i = 0
    while i < len(xs):
        if xs[i] == 0:
            i += 1
        i += 1
    return i
""",
    ),
    "all divisors are used": (
        "trial-division",
        """
def f(n):
    found = []
    for d in range(2, n):
        if n % d == 0:
            found.append(d)
    return found
""",
    ),
    "a deep copy of what is not known": (
        "flat-copy",
        """
import copy
def f(xs):
    return copy.deepcopy(xs)
""",
    ),
    "a deep copy of records": (
        "flat-copy",
        """
import copy
def f(n):
    xs = [{} for _ in range(n)]
    return copy.deepcopy(xs)
""",
    ),
    "values that change": (
        "values-membership",
        """
def f(d, xs):
    for x in xs:
        if x not in d.values():
            d[x] = x
""",
    ),
    "values asked once": (
        "values-membership",
        """
def f(d, x):
    return x in d.values()
""",
    ),
    "the best, but not of the rest": (
        "repeated-selection",
        """
def f(xs):
    best = None
    for x in xs:
        if best is None or x > best:
            best = x
    return best
""",
    ),
    "the smallest, but it stays": (
        "take-extreme",
        """
def f(xs, n):
    out = []
    for _ in range(n):
        out.append(min(xs))
    return out
""",
    ),
    "repeats of lists": (
        "dedupe-loop",
        """
def f(n):
    xs = [[i % 3] for i in range(n)]
    out = []
    for x in xs:
        if x not in out:
            out.append(x)
    return out
""",
    ),
    "repeats beside a set that is asked again": (
        "dedupe-loop",
        """
def f(xs, ys):
    out = []
    seen = set()
    for x in xs:
        if x not in seen:
            seen.add(x)
            out.append(x)
    return out, [y for y in ys if y in seen]
""",
    ),
    "repeats counted": (
        "dedupe-loop",
        """
def f(xs):
    out = []
    for x in xs:
        if x not in out:
            out.append(x)
            print(x)
    return out
""",
    ),
    "a scan of a list that shrinks": (
        "scan-grown-list",
        """
def f(xs):
    seen = []
    for x in xs:
        for s in seen:
            if s == x:
                seen.remove(s)
                break
        seen.append(x)
    return seen
""",
    ),
    "a comprehension that compares sizes": (
        "join-in-comprehension",
        """
def f(xs, ys):
    return [[y for y in ys if y > x] for x in xs]
""",
    ),
    "insert at the front of what is read": (
        "insert-at-front",
        """
def f(xs):
    out = []
    for x in xs:
        if x not in out:
            out.insert(0, x)
    return out
""",
    ),
    "insert in the middle": (
        "insert-at-front",
        """
def f(xs):
    out = []
    for x in xs:
        out.insert(1, x)
    return out
""",
    ),
    "a text put in front and read": (
        "prepend-text",
        """
def f(xs):
    out = ''
    for x in xs:
        out = x + out
        print(len(out))
    return out
""",
    ),
    "a number in front": (
        "prepend-text",
        """
def f(xs):
    out = 0
    for x in xs:
        out = x + out
    return out
""",
    ),
    "a sum to elsewhere": (
        "prefix-loop",
        """
def f(xs, n):
    out = []
    for i in range(n):
        total = 0
        for j in range(7):
            total += xs[j]
        out.append(total)
    return out
""",
    ),
    "a sum of what the loop changes": (
        "prefix-loop",
        """
def f(xs):
    for i in range(len(xs)):
        total = 0
        for j in range(i):
            total += xs[j]
        xs[i] = total
    return xs
""",
    ),
    "a sum of a list that also shrinks": (
        "running-sum",
        """
def f(xs):
    out = []
    for x in xs:
        out.append(x)
        if sum(out) > 9:
            out.pop()
    return out
""",
    ),
    "words with a length bound": (
        "split-characters",
        """
def f(text):
    words = []
    word = ''
    for c in text:
        if c != ' ' and len(word) < 5:
            word += c
        else:
            words.append(word)
            word = ''
    return words
""",
    ),
    "half of a text backwards": (
        "reverse-by-loop",
        """
def f(text):
    out = ''
    for i in range(len(text) - 1, -1, -2):
        out += text[i]
    return out
""",
    ),
    "a text whose letters are counted too": (
        "reverse-by-loop",
        """
def f(text):
    out = ''
    n = 0
    for c in text:
        out = c + out
        n += 1
    return out, n
""",
    ),
    "positions of either of two": (
        "find-positions",
        """
def f(text, a, b):
    out = []
    for i in range(len(text)):
        if text.startswith(a, i) or text.startswith(b, i):
            out.append(i)
    return out
""",
    ),
    "positions in a list": (
        "find-positions",
        """
def f(n, part):
    xs = list(range(n))
    out = []
    for i in range(len(xs) - len(part) + 1):
        if xs[i:i + len(part)] == part:
            out.append(i)
    return out
""",
    ),
    "a comparison that counts": (
        "compare-characters",
        """
def f(text, part, at):
    n = 0
    for i in range(len(part)):
        if text[at + i] != part[i]:
            n += 1
    return n
""",
    ),
    "divisors of a range": (
        "divisor-pairs",
        """
def f(n):
    out = []
    for i in range(2, n):
        if n % i == 0:
            out.append(i)
    return out
""",
    ),
    "the second smallest": (
        "cheaper-call",
        """
def f(xs):
    return sorted(xs)[1]
""",
    ),
    "a sum of numbers": (
        "cheaper-call",
        """
def f(xs):
    return sum(xs, 0)
""",
    ),
    "an inverse that is kept": (
        "numeric-swap",
        """
import numpy as np
def f(a, b):
    i = np.linalg.inv(a)
    return i @ b
""",
    ),
    "an inverse of another library": (
        "numeric-swap",
        """
import mine
def f(a, b):
    return mine.linalg.inv(a) @ b
""",
    ),
    "files and folders": (
        "scan-folder",
        """
import os
def f(d):
    return [n for n in os.listdir(d) if os.path.exists(os.path.join(d, n))]
""",
    ),
    "names of another folder": (
        "scan-folder",
        """
import os
def f(d, e):
    return [n for n in os.listdir(d) if os.path.isfile(os.path.join(e, n))]
""",
    ),
    "a loop over what may be an array": (
        "array-to-list",
        """
def f(xs):
    for x in xs:
        print(x)
""",
    ),
    "an array that becomes something else": (
        "array-to-list",
        """
import numpy as np
def f(n):
    xs = np.arange(n)
    xs = mine(xs)
    for x in xs:
        print(x)
""",
    ),
    "counted more than once": (
        "counted-membership",
        """
def f(xs, x):
    return xs.count(x) > 1, xs.count(x) == 1
""",
    ),
    "counted from a place on": (
        "counted-membership",
        """
def f(xs, x):
    return xs.count(x, 3) > 0
""",
    ),
    "counts with a weight": (
        "count-loop",
        """
def f(xs):
    d = {}
    for x in xs:
        if x in d:
            d[x] += 2
        else:
            d[x] = 2
    return d
""",
    ),
    "counts into what is there": (
        "count-loop",
        """
def f(xs, d):
    for x in xs:
        d[x] = d.get(x, 0) + 1
    return d
""",
    ),
    "a pattern that is made each time": (
        "hoist-regex",
        """
import re
def f(word, text):
    return re.search(word, text)
""",
    ),
    "a pattern of the module": (
        "hoist-regex",
        """
import re
X = re.search('a+', 'aa')
""",
    ),
    "a join of a list": (
        "join-generator",
        """
def f(xs):
    return ''.join([x for x in xs])
""",
    ),
    "a mirror that counts": (
        "mirror-by-loop",
        """
def f(w):
    n = 0
    for i in range(len(w) // 2):
        if w[i] != w[len(w) - 1 - i]:
            n += 1
    return n
""",
    ),
    "bits of a number": (
        "digit-sum",
        """
def f(n):
    s = 0
    while n > 0:
        s += n % 2
        n //= 2
    return s
""",
    ),
    "json without options": (
        "hoist-encoder",
        """
import json
def f(x):
    return json.dumps(x)
""",
    ),
    "json with an option that varies": (
        "hoist-encoder",
        """
import json
def f(x, n):
    return json.dumps(x, indent=n)
""",
    ),
    "json by a class of one's own": (
        "hoist-encoder",
        """
import json
def f(x):
    return json.dumps(x, cls=None, indent=1)
""",
    ),
    "a dictionary that was there": (
        "collect-loop",
        """
def f(xs, d):
    for x in xs:
        d[x] = 1
    return d
""",
    ),
    "a dictionary that is read": (
        "collect-loop",
        """
def f(xs):
    d = {}
    for x in xs:
        d[x] = len(d)
    return d
""",
    ),
    "some lines of a file": (
        "iterate-file",
        """
def f(file):
    for line in file.readlines(99):
        print(line)
""",
    ),
    "lines counted, too": (
        "iterate-file",
        """
def f(file):
    lines = file.readlines()
    for line in lines:
        print(len(lines))
""",
    ),
    "a record with parents": (
        "slots",
        """
class A(B):
    def __init__(self, x):
        self.x = x
""",
    ),
    "a record that grows": (
        "slots",
        """
class A:
    def __init__(self, x):
        self.x = x

def f(a):
    a.y = 1
""",
    ),
    "a record with a constant": (
        "slots",
        """
class A:
    x = 1
    def __init__(self, x):
        self.x = x
""",
    ),
    "a record with slots": (
        "slots",
        """
class A:
    __slots__ = ('x', '__slots__')
    def __init__(self, x):
        self.x = x
""",
    ),
    "a data class with parents": (
        "slots",
        """
from dataclasses import dataclass
@dataclass
class A(B):
    x: int
""",
    ),
    "a square": ("modular-power", "def f(a, m):\n    return a ** 2 % m\n"),
    "a text format": ("modular-power", "def f(a):\n    return '%s' ** a % 3\n"),
    "the last of a text": ("contained-in-copy", "def f(d, x):\n    return x in d\n"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_the_rule_does_nothing(name: str) -> None:
    rule, text = NOTHING[name]
    assert [site.text for site in sites_of(BY_NAME[rule], text)] == []


def test_every_rule_for_python_has_something_to_leave_alone() -> None:
    assert {rule for rule, _ in NOTHING.values()} == {rule.name for rule in RULES if rule.language is PYTHON}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("text", ["", "x = 1\n", "def f(:\n", "\0", "def f():\n    pass"])
def test_no_rule_minds_little_or_broken_text(rule, text: str) -> None:
    assert not sites_of(rule, text)
