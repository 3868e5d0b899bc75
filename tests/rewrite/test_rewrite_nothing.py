"""Code that must stay as it is: each text is one that a rule could take for its own."""

from __future__ import annotations

import pytest

from optiloop.proposers.rewrite import sites_of
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
    "a square": ("modular-power", "def f(a, m):\n    return a ** 2 % m\n"),
    "a text format": ("modular-power", "def f(a):\n    return '%s' ** a % 3\n"),
    "the last of a text": ("contained-in-copy", "def f(d, x):\n    return x in d\n"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_the_rule_does_nothing(name: str) -> None:
    rule, text = NOTHING[name]
    assert [site.text for site in sites_of(BY_NAME[rule], text)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("text", ["", "x = 1\n", "def f(:\n", "\0", "def f():\n    pass"])
def test_no_rule_minds_little_or_broken_text(rule, text: str) -> None:
    assert sites_of(rule, text) == []
