"""Every rule fires on code a beginner may write, and what it writes gives the same answers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest

from optiloop.proposers.rewrite import sites_of
from optiloop.proposers.rewrite.code import PYTHON
from optiloop.proposers.rewrite.rule import Rule
from optiloop.proposers.rewrite.table import RULES as EVERY_RULE

RULES = [rule for rule in EVERY_RULE if rule.language is PYTHON]
BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}
WORDS = ["pear", "fig", "apple", "fig", "kiwi", "pear", "fig", "date"]
TEXT = "The quick brown fox, the lazy dog; THE end's near."


@dataclass(frozen=True)
class Case:
    """A module whose function `f` is called with each of `inputs`; `has` must appear in the new text."""

    rule: str
    text: str
    inputs: tuple[tuple[Any, ...], ...]
    has: str = ""


def answers(text: str, inputs: tuple[tuple[Any, ...], ...]) -> list[str]:
    namespace: dict[str, Any] = {}
    namespace["__name__"] = __name__  # a data class asks for its module
    exec(compile(text, "case", "exec"), namespace)
    return [_answer(namespace["f"], arguments) for arguments in inputs]


def _answer(function: Any, arguments: tuple[Any, ...]) -> str:
    given = copy.deepcopy(arguments)
    return repr((function(*given), given))


CASES = {
    # --- recursion
    "fibonacci": Case(
        "memoise",
        """
def f(n):
    if n < 2:
        return n
    return f(n - 1) + f(n - 2)
""",
        ((0,), (1,), (15,)),
        "@functools.cache",
    ),
    "edit distance": Case(
        "memoise",
        '''
def f(a, b):
    """Doc."""
    if not a:
        return len(b)
    if not b:
        return len(a)
    if a[0] == b[0]:
        return f(a[1:], b[1:])
    return 1 + min(f(a[1:], b), f(a, b[1:]), f(a[1:], b[1:]))
''',
        (("", ""), ("kitten", "sitting"), ("a", "")),
    ),
    "recursive helper": Case(
        "memoise",
        """
def f(coins, total):
    def ways(at, left):
        if left == 0:
            return 1
        if left < 0 or at == len(coins):
            return 0
        return ways(at + 1, left) + ways(at, left - coins[at])
    return ways(0, total)
""",
        (([1, 2, 5], 11), ([], 3)),
    ),
    # --- sorting
    "bubble sort": Case(
        "sort-swaps",
        """
def f(words):
    words = list(words)
    n = len(words)
    for i in range(n):
        for j in range(0, n - i - 1):
            if words[j] > words[j + 1]:
                words[j], words[j + 1] = words[j + 1], words[j]
    return words
""",
        ((WORDS,), ([],)),
        "words.sort()",
    ),
    "bubble sort with a flag": Case(
        "sort-swaps",
        """
def f(items):
    items = items[:]
    swapped = True
    while swapped:
        swapped = False
        for k in range(len(items) - 1):
            if items[k + 1] < items[k]:
                temp = items[k]
                items[k] = items[k + 1]
                items[k + 1] = temp
                swapped = True
    return items
""",
        ((WORDS,), ([3, 1, 2],)),
        "items.sort()",
    ),
    "pairs by count, descending, stable": Case(
        "sort-swaps",
        """
def f(pairs):
    pairs = list(pairs)
    for i in range(len(pairs)):
        for j in range(len(pairs) - 1):
            if pairs[j][1] < pairs[j + 1][1]:
                pairs[j], pairs[j + 1] = pairs[j + 1], pairs[j]
    return pairs
""",
        (([("a", 1), ("b", 3), ("c", 3), ("d", 2)],),),
        "reverse=True",
    ),
    "count descending, then word ascending": Case(
        "sort-swaps",
        """
def f(pairs):
    pairs = list(pairs)
    for i in range(len(pairs)):
        for j in range(len(pairs) - 1 - i):
            a = pairs[j]
            b = pairs[j + 1]
            if a[1] < b[1] or (a[1] == b[1] and a[0] > b[0]):
                pairs[j] = b
                pairs[j + 1] = a
    return pairs
""",
        (([("b", 1), ("a", 3), ("c", 3), ("a", 1), ("d", 2)],),),
    ),
    "count descending, then word ascending, with a flag": Case(
        "sort-swaps",
        """
def f(pairs):
    pairs = list(pairs)
    for i in range(len(pairs)):
        for j in range(len(pairs) - 1 - i):
            swap = False
            if pairs[j][1] < pairs[j + 1][1]:
                swap = True
            elif pairs[j][1] == pairs[j + 1][1] and pairs[j][0] > pairs[j + 1][0]:
                swap = True
            if swap:
                pairs[j], pairs[j + 1] = pairs[j + 1], pairs[j]
    return pairs
""",
        (([("b", 1), ("a", 3), ("c", 3), ("a", 1), ("d", 2)],),),
    ),
    "two branches that swap": Case(
        "sort-swaps",
        """
def f(pairs):
    pairs = list(pairs)
    for i in range(len(pairs)):
        for j in range(len(pairs) - 1 - i):
            if pairs[j][1] < pairs[j + 1][1]:
                pairs[j], pairs[j + 1] = pairs[j + 1], pairs[j]
            elif pairs[j][1] == pairs[j + 1][1]:
                if pairs[j][0] > pairs[j + 1][0]:
                    pairs[j], pairs[j + 1] = pairs[j + 1], pairs[j]
    return pairs
""",
        (([("b", 1), ("a", 3), ("c", 3), ("a", 1), ("d", 2)],),),
    ),
    "parallel lists": Case(
        "sort-swaps",
        """
def f(names, counts):
    names, counts = list(names), list(counts)
    for i in range(len(counts)):
        for j in range(len(counts) - 1 - i):
            if counts[j] < counts[j + 1]:
                counts[j], counts[j + 1] = counts[j + 1], counts[j]
                names[j], names[j + 1] = names[j + 1], names[j]
    return names, counts
""",
        ((["a", "b", "c", "d"], [1, 3, 2, 3]),),
        "order",
    ),
    "by a key function": Case(
        "sort-swaps",
        """
def f(words):
    words = list(words)
    for i in range(len(words)):
        for j in range(len(words) - 1 - i):
            if len(words[j]) > len(words[j + 1]):
                words[j], words[j + 1] = words[j + 1], words[j]
    return words
""",
        ((WORDS,),),
        "key=",
    ),
    "an unusual comparison": Case(
        "sort-swaps",
        """
def f(numbers):
    numbers = list(numbers)
    for i in range(len(numbers)):
        for j in range(len(numbers) - 1 - i):
            if str(numbers[j]) + str(numbers[j + 1]) < str(numbers[j + 1]) + str(numbers[j]):
                numbers[j], numbers[j + 1] = numbers[j + 1], numbers[j]
    return "".join(str(n) for n in numbers)
""",
        (([3, 30, 34, 5, 9],),),
        "cmp_to_key",
    ),
    "exchange sort": Case(
        "sort-swaps",
        """
def f(a):
    a = list(a)
    for i in range(len(a)):
        for j in range(i + 1, len(a)):
            if a[i] > a[j]:
                a[i], a[j] = a[j], a[i]
    return a
""",
        ((WORDS,),),
    ),
    "selection sort": Case(
        "sort-swaps",
        """
def f(a):
    a = list(a)
    for i in range(len(a) - 1):
        smallest = i
        for j in range(i + 1, len(a)):
            if a[j] < a[smallest]:
                smallest = j
        a[i], a[smallest] = a[smallest], a[i]
    return a
""",
        ((WORDS,),),
    ),
    "selection sort, descending, if different": Case(
        "sort-swaps",
        """
def f(a):
    a = list(a)
    for i in range(len(a)):
        best = i
        for j in range(i + 1, len(a)):
            if a[j] > a[best]:
                best = j
        if best != i:
            a[i], a[best] = a[best], a[i]
    return a
""",
        ((WORDS,),),
        "reverse=True",
    ),
    "insertion sort": Case(
        "sort-swaps",
        """
def f(a):
    a = list(a)
    for i in range(1, len(a)):
        key = a[i]
        j = i - 1
        while j >= 0 and a[j] > key:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = key
    return a
""",
        ((WORDS,), ([2, 1],)),
    ),
    "insertion sort by swaps": Case(
        "sort-swaps",
        """
def f(a):
    a = list(a)
    for i in range(1, len(a)):
        j = i
        while j > 0 and a[j - 1] > a[j]:
            a[j - 1], a[j] = a[j], a[j - 1]
            j = j - 1
    return a
""",
        ((WORDS,),),
    ),
    # --- lookups
    "membership in a constant": Case(
        "list-membership",
        """
STOP = ["the", "a", "fig"]

def f(words):
    return [w for w in words if w not in STOP]
""",
        ((WORDS,),),
        "STOP_SET",
    ),
    "membership in what was seen": Case(
        "list-membership",
        """
def f(words):
    seen = []
    repeated = []
    for word in words:
        if word in seen:
            repeated.append(word)
        else:
            seen.append(word)
    return seen, repeated
""",
        ((WORDS,), ([],)),
        "seen_set.add(word)",
    ),
    "membership in another list": Case(
        "list-membership",
        """
def f(one, other):
    return [w for w in one if w in other]
""",
        ((WORDS, ["fig", "date"]),),
    ),
    "membership in split words": Case(
        "list-membership",
        """
def f(text, wanted):
    words = text.split()
    found = 0
    for w in wanted:
        if w in words:
            found += 1
    return found
""",
        ((TEXT, ["fox", "cat"]),),
    ),
    "index in an alphabet": Case(
        "list-index",
        """
ALPHABET = "abcdefghijklmnopqrstuvwxyz"

def f(text):
    return [ALPHABET.index(c) for c in text]
""",
        (("zebra",),),
    ),
    "index in a local list": Case(
        "list-index",
        """
def f(names, queries):
    names = list(names)
    found = []
    for q in queries:
        found.append(names.index(q))
    return found
""",
        ((WORDS, ["kiwi", "fig"]),),
    ),
    "parallel lists with index": Case(
        "list-index",
        """
def f(words):
    keys = []
    counts = []
    for word in words:
        if word in keys:
            counts[keys.index(word)] += 1
        else:
            keys.append(word)
            counts.append(1)
    return keys, counts
""",
        ((WORDS,),),
        "keys_at",
    ),
    "count of each": Case(
        "list-count",
        """
def f(words):
    counts = {}
    for w in words:
        counts[w] = words.count(w)
    return counts
""",
        ((WORDS,),),
        "collections.Counter",
    ),
    "count of each of what was collected": Case(
        "list-count",
        """
def f(words, n):
    grams = []
    for i in range(len(words) - n + 1):
        grams.append(" ".join(words[i : i + n]))
    counts = {}
    for gram in grams:
        counts[gram] = grams.count(gram)
    return counts
""",
        ((WORDS, 2), ([], 1)),
        "collections.Counter(grams)",
    ),
    "count of each character": Case(
        "list-count",
        """
def f(text):
    return {c: text.count(c) for c in set(text) if c == 'a'}
""",
        (("banana",),),
    ),
    "count of what was seen so far": Case(
        "list-count",
        """
def f(words):
    seen = []
    numbered = []
    for w in words:
        numbered.append((w, seen.count(w)))
        seen.append(w)
    return numbered
""",
        ((WORDS,),),
    ),
    # --- scans
    "counting by scan": Case(
        "scan-grown-list",
        """
def f(words):
    keys = []
    counts = []
    for word in words:
        found = False
        for i in range(len(keys)):
            if keys[i] == word:
                counts[i] += 1
                found = True
                break
        if not found:
            keys.append(word)
            counts.append(1)
    return keys, counts
""",
        ((WORDS,), ([],)),
    ),
    "counting by scan with else": Case(
        "scan-grown-list",
        """
def f(words):
    counts = []
    keys = []
    for word in words:
        for i, key in enumerate(keys):
            if key == word:
                counts[i] += 1
                break
        else:
            keys.append(word)
            counts.append(1)
    return keys, counts
""",
        ((WORDS,), ([],)),
    ),
    "counting in pairs": Case(
        "scan-grown-list",
        """
def f(words):
    pairs = []
    for word in words:
        found = False
        for pair in pairs:
            if pair[0] == word:
                pair[1] += 1
                found = True
        if not found:
            pairs.append([word, 1])
    return pairs
""",
        ((WORDS,), ([],)),
    ),
    "counting with an index of minus one": Case(
        "scan-grown-list",
        """
def f(words):
    keys = []
    counts = []
    for word in words:
        index = -1
        for i in range(len(keys)):
            if keys[i] == word:
                index = i
                break
        if index == -1:
            keys.append(word)
            counts.append(1)
        else:
            counts[index] += 1
    return keys, counts
""",
        ((WORDS,),),
    ),
    "positions of each word": Case(
        "join-by-scan",
        """
def f(words):
    result = {}
    for word in words:
        if word not in result:
            places = []
            for i in range(len(words)):
                if words[i] == word:
                    places.append(i)
            result[word] = places
    return result
""",
        ((WORDS,),),
    ),
    "positions by enumerate": Case(
        "join-by-scan",
        """
def f(words):
    result = {}
    for word in set(words):
        for i, other in enumerate(words):
            if other == word:
                result.setdefault(word, []).append(i)
    return sorted(result.items())
""",
        ((WORDS,),),
    ),
    "equality join": Case(
        "join-by-scan",
        """
def f(orders, people):
    joined = []
    for order in orders:
        for person in people:
            if order["who"] == person["id"] and person["name"] != "":
                joined.append((order["what"], person["name"]))
    return joined
""",
        (
            (
                [{"who": 1, "what": "tea"}, {"who": 2, "what": "nut"}],
                [{"id": 1, "name": "Ann"}, {"id": 1, "name": ""}, {"id": 3, "name": "Cy"}],
            ),
        ),
    ),
    "counting matches": Case(
        "join-by-scan",
        """
def f(words):
    counts = {}
    for word in words:
        n = 0
        for other in words:
            if other == word:
                n += 1
        counts[word] = n
    return counts
""",
        ((WORDS,),),
        "Counter",
    ),
    "is there a match": Case(
        "join-by-scan",
        """
def f(one, other):
    common = []
    for a in one:
        found = False
        for b in other:
            if a == b:
                found = True
                break
        if found:
            common.append(a)
    return common
""",
        ((WORDS, ["fig", "date"]), ([], [])),
        "set(other)",
    ),
    "two sum": Case(
        "join-by-scan",
        """
def f(numbers, total):
    pairs = []
    for i in range(len(numbers)):
        for j in range(len(numbers)):
            if numbers[i] + numbers[j] == total and i < j:
                pairs.append((i, j))
    return pairs
""",
        (([2, 7, 11, -2, 15, 7], 9),),
    ),
    "two sum, later partner": Case(
        "join-by-scan",
        """
def f(numbers, total):
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] + numbers[j] == total:
                return i, j
    return None
""",
        (([2, 7, 11, -2, 15, 7], 9), ([1], 2), ([1, 2], 9)),
    ),
    "pairs of equals": Case(
        "join-by-scan",
        """
def f(words):
    n = 0
    for i in range(len(words)):
        for j in range(i + 1, len(words)):
            if words[i] == words[j]:
                n += 1
    return n
""",
        ((WORDS,),),
    ),
    "positions in a comprehension": Case(
        "join-in-comprehension",
        """
def f(words):
    return {w: [i for i in range(len(words)) if words[i] == w] for w in words}
""",
        ((WORDS,),),
    ),
    "count in a generator": Case(
        "join-in-comprehension",
        """
def f(words):
    out = []
    for w in words:
        out.append(sum(1 for x in words if x == w))
    return out
""",
        ((WORDS,),),
    ),
    "groups of anagrams": Case(
        "scan-grown-list",
        """
def f(words):
    groups = []
    for w in words:
        placed = False
        for g in groups:
            if sorted(g[0]) == sorted(w):
                g.append(w)
                placed = True
                break
        if not placed:
            groups.append([w])
    return groups
""",
        ((["tea", "eat", "tan", "nat", "ate"],),),
    ),
    # --- selection
    "top words among the rest": Case(
        "repeated-selection",
        """
def f(counts, k):
    chosen = []
    result = []
    while len(result) < k and len(result) < len(counts):
        best = None
        for word in counts:
            if word not in chosen and (best is None or counts[word] > counts[best]):
                best = word
        chosen.append(best)
        result.append([best, counts[best]])
    return result
""",
        (({"a": 1, "b": 3, "c": 3, "d": 2}, 3), ({}, 2), ({"a": 1}, 5)),
        "ranked",
    ),
    "top words in nested ifs": Case(
        "repeated-selection",
        """
def f(words, counts, k):
    taken = []
    for _ in range(min(k, len(set(words)))):
        best = None
        for word in words:
            if word not in taken:
                if best is None or counts[word] > counts[best]:
                    best = word
        taken.append(best)
    return taken
""",
        ((["a", "b", "a", "c"], {"a": 1, "b": 3, "c": 3}, 3),),
    ),
    "top words with a record": Case(
        "repeated-selection",
        """
def f(counts, k):
    used = []
    result = []
    for _ in range(k):
        best = ""
        top = 0
        for word in counts:
            if counts[word] > top and word not in used:
                best = word
                top = counts[word]
        if best == "":
            break
        used.append(best)
        result.append((best, top))
    return result
""",
        (({"a": 1, "b": 3, "c": 3, "d": 2}, 3), ({}, 2), ({"a": 1}, 5)),
    ),
    "top words that are deleted": Case(
        "repeated-selection",
        """
def f(counts, k):
    counts = dict(counts)
    result = []
    for _ in range(k):
        best = None
        top = -1
        for word in counts:
            if counts[word] > top:
                best = word
                top = counts[word]
        if best is None:
            break
        result.append((best, top))
        del counts[best]
    return result, counts
""",
        (({"a": 1, "b": 3, "c": 3, "d": 2}, 3), ({}, 2), ({"a": 1}, 5)),
    ),
    "smallest out again and again": Case(
        "take-extreme",
        """
def f(xs):
    out = []
    while xs:
        smallest = min(xs)
        out.append(smallest)
        xs.remove(smallest)
    return out
""",
        (([3, 1, 2, 1],), ([],)),
    ),
    # --- characters
    "caesar": Case(
        "map-characters",
        """
LETTERS = "abcdefghijklmnopqrstuvwxyz"

def f(text, shift):
    result = ""
    for ch in text:
        if ch.lower() in LETTERS:
            at = (LETTERS.index(ch.lower()) + shift) % 26
            new = LETTERS[at]
            if ch.isupper():
                new = new.upper()
            result = result + new
        else:
            result = result + ch
    return result
""",
        ((TEXT, 3), ("", 1)),
        "translate",
    ),
    "caesar with continue and pieces": Case(
        "map-characters",
        """
def f(text, shift):
    out = []
    for i in range(len(text)):
        if not text[i].isalpha():
            out.append(text[i])
            continue
        base = ord("A") if text[i].isupper() else ord("a")
        out.append(chr((ord(text[i]) - base + shift) % 26 + base))
    return "".join(out)
""",
        ((TEXT, 3), ("", 1)),
        "translate",
    ),
    "caesar by index": Case(
        "map-characters",
        """
LETTERS = "abcdefghijklmnopqrstuvwxyz"

def f(text, k):
    result = ""
    for i in range(len(text)):
        c = text[i]
        at = LETTERS.find(c)
        if at != -1:
            result = result + LETTERS[(at + k) % 26]
        else:
            result = result + c
    return result
""",
        ((TEXT, 3), ("", 1)),
    ),
    "drop vowels": Case(
        "map-characters",
        """
def f(text):
    kept = ""
    for c in text:
        if c not in "aeiou":
            kept += c
    return kept
""",
        ((TEXT,),),
    ),
    "reverse by prepending": Case(
        "reverse-by-loop",
        """
def f(word):
    back = ""
    for c in word:
        back = c + back
    return back == word, back
""",
        (("anna",), ("abc",), ("",)),
        "word[::-1]",
    ),
    "reverse by counting down": Case(
        "reverse-by-loop",
        """
def f(word):
    back = ""
    i = len(word) - 1
    while i >= 0:
        back += word[i]
        i -= 1
    return back
""",
        (("abc",), ("",)),
    ),
    "reverse by range": Case(
        "reverse-by-loop",
        """
def f(word):
    back = ""
    for i in range(len(word) - 1, -1, -1):
        back = back + word[i]
    return back
""",
        (("abc",), ("",)),
    ),
    "palindrome by mirror": Case(
        "mirror-by-loop",
        """
def f(word):
    for i in range(len(word) // 2):
        if word[i] != word[len(word) - 1 - i]:
            return False
    return True
""",
        (("anna",), ("abc",), ("",), ("aba",)),
    ),
    "palindrome by two ends": Case(
        "mirror-by-loop",
        """
def f(word):
    i = 0
    j = len(word) - 1
    while i < j:
        if word[i] != word[j]:
            return False
        i += 1
        j -= 1
    return True
""",
        (("anna",), ("abc",), ("",), ("aba",)),
    ),
    "palindrome with a flag": Case(
        "mirror-by-loop",
        """
def f(word):
    same = True
    for i in range(len(word)):
        if word[i] != word[-i - 1]:
            same = False
            break
    return same
""",
        (("anna",), ("abc",), ("",)),
    ),
    "naive search": Case(
        "compare-characters",
        """
def f(text, part):
    places = []
    for i in range(len(text) - len(part) + 1):
        match = True
        for j in range(len(part)):
            if text[i + j] != part[j]:
                match = False
                break
        if match:
            places.append(i)
    return places
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
        "startswith",
    ),
    "naive search with while": Case(
        "compare-characters",
        """
def f(text, part):
    count = 0
    m = len(part)
    for i in range(len(text) - m + 1):
        j = 0
        while j < m and text[i + j] == part[j]:
            j += 1
        if j == m:
            count += 1
    return count
""",
        (("banana", "ana"), ("", ""), ("a", "ab")),
        "startswith",
    ),
    "search at every position": Case(
        "find-positions",
        """
def f(text, part):
    places = []
    for i in range(len(text) - len(part) + 1):
        if text[i:i + len(part)] == part:
            places.append(i)
    return places
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
        ".find(",
    ),
    "search with two while loops": Case(
        "compare-characters",
        """
def f(text, part):
    hits = []
    i = 0
    while i <= len(text) - len(part):
        j = 0
        while j < len(part):
            if text[i + j] != part[j]:
                break
            j += 1
        if j == len(part):
            hits.append(i)
        i += 1
    return hits
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
    ),
    "search character by character": Case(
        "find-positions",
        """
def f(text, part):
    places = []
    if part == "":
        return places
    for start in range(len(text) - len(part) + 1):
        matches = True
        for i in range(len(part)):
            if text[start + i] != part[i]:
                matches = False
                break
        if matches:
            places.append(start)
    return places
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
        ".find(",
    ),
    "search up to the end": Case(
        "find-positions",
        """
def f(text, part):
    hits = []
    for i in range(len(text)):
        if text[i:i + len(part)] == part:
            hits.append(i)
    return hits
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
    ),
    "search with lengths in variables": Case(
        "find-positions",
        """
def f(text, part):
    n = len(text)
    m = len(part)
    count = 0
    for i in range(n - m + 1):
        if text.startswith(part, i):
            count += 1
    return count
""",
        (("banana", "ana"), ("", ""), ("a", "ab"), ("ab", "")),
    ),
    "tokenizer": Case(
        "split-characters",
        """
def f(text):
    words = []
    word = ""
    for c in text.lower():
        if c.isalnum() or c == "'":
            word += c
        else:
            if word != "":
                words.append(word)
            word = ""
    if word != "":
        words.append(word)
    return words
""",
        ((TEXT,), ("",), ("a  b\n",)),
    ),
    "tokenizer with elif": Case(
        "split-characters",
        """
def f(text):
    words = []
    current = ""
    for c in text:
        if c.isalpha():
            current = current + c
        elif current:
            words.append(current)
            current = ""
    if current:
        words.append(current)
    return words
""",
        ((TEXT,), ("",)),
    ),
    "split at spaces": Case(
        "split-characters",
        """
def f(text):
    words = []
    current = ""
    for c in text:
        if c == " " or c == ",":
            if len(current) > 0:
                words.append(current)
                current = ""
        else:
            current += c
    if len(current) > 0:
        words.append(current)
    return words
""",
        ((TEXT,), ("",), (" a, b ",)),
    ),
    # --- queues
    "pop from the front": Case(
        "consume-in-order",
        """
def f(words):
    queue = list(words)
    out = []
    while len(queue) > 0:
        word = queue.pop(0)
        out.append(word.upper())
    return out, queue
""",
        ((WORDS,), ([],)),
    ),
    "slice from the front": Case(
        "consume-in-order",
        """
def f(text):
    n = 0
    while text:
        first = text[0]
        if first == "a":
            n += 1
        text = text[1:]
    return n
""",
        (("banana",), ("",)),
    ),
    "breadth first": Case(
        "list-as-queue",
        """
def f(graph, start):
    queue = [start]
    seen = {start}
    order = []
    while queue:
        node = queue.pop(0)
        order.append(node)
        for other in graph[node]:
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return order
""",
        (({1: [2, 3], 2: [4], 3: [4], 4: []}, 1),),
        "popleft",
    ),
    "tokens": Case(
        "list-as-queue",
        """
def f(text):
    tokens = text.split()
    total = int(tokens.pop(0))
    while tokens:
        sign = tokens.pop(0)
        number = int(tokens.pop(0))
        total = total + number if sign == "+" else total - number
    return total
""",
        (("1 + 2 - 3",), ("7",)),
    ),
    "insert at the front": Case(
        "insert-at-front",
        """
def f(n):
    bits = []
    while n:
        bits.insert(0, n % 2)
        n //= 2
    return bits
""",
        ((10,), (0,)),
    ),
    "list plus list": Case(
        "grow-in-place",
        """
def f(words):
    out = []
    for w in words:
        out = out + [w.upper()]
    return out
""",
        ((WORDS,),),
        "append",
    ),
    "list plus lists": Case(
        "grow-in-place",
        """
def f(lines):
    out = []
    for line in lines:
        out = out + line.split()
    return out
""",
        ((["a b", "", "c"],),),
        "extend",
    ),
    "digits put in front": Case(
        "prepend-text",
        """
def f(n, base):
    digits = ""
    while n > 0:
        digits = "0123456789abcdef"[n % base] + digits
        n = n // base
    return digits
""",
        ((255, 16), (10, 2), (0, 2)),
        "reversed",
    ),
    # --- invariants and sums
    "lower in a loop": Case(
        "hoist-invariant",
        """
def f(text, words):
    n = 0
    for w in words:
        if w in text.lower():
            n += 1
    return n
""",
        ((TEXT, ["the", "cat"]),),
    ),
    "max in a comprehension": Case(
        "hoist-invariant",
        """
def f(xs):
    return [x / max(xs) for x in xs]
""",
        (([1, 2, 4],),),
    ),
    "own pure function": Case(
        "hoist-invariant",
        """
def longest(words):
    best = ""
    for w in words:
        if len(w) > len(best):
            best = w
    return best

def f(words):
    return [w for w in words if len(w) == len(longest(words))]
""",
        ((WORDS,),),
    ),
    "prefix sums": Case(
        "prefix-sums",
        """
def f(lengths):
    starts = []
    for i in range(len(lengths)):
        starts.append(sum(lengths[:i]))
    return starts
""",
        (([3, 1, 2],), ([],)),
    ),
    "windows": Case(
        "prefix-sums",
        """
def f(xs, k):
    return [sum(xs[i:i + k]) for i in range(len(xs) - k + 1)]
""",
        (([3, 1, 2, 5], 2), ([], 1)),
    ),
    "lengths added up anew": Case(
        "prefix-loop",
        """
def f(lines):
    starts = []
    for i in range(len(lines)):
        total = 0
        for j in range(i):
            total += len(lines[j]) + 1
        starts.append(total)
    return starts
""",
        ((["a", "bcd", ""],), ([],)),
    ),
    "lengths added up anew in a comprehension": Case(
        "prefix-loop",
        """
def f(lines):
    starts = []
    for i in range(len(lines)):
        starts.append(sum([len(lines[j]) for j in range(i)]))
    return starts
""",
        ((["a", "bcd", ""],), ([],)),
    ),
    "running sum": Case(
        "running-sum",
        """
def f(lines):
    lengths = []
    starts = []
    for line in lines:
        starts.append(sum(lengths))
        lengths.append(len(line) + 1)
    return starts
""",
        ((["a", "bcd", ""],),),
    ),
    "regex in a loop": Case(
        "hoist-regex",
        """
import re


def f(lines):
    return [re.sub(r"[0-9]+", "#", line) for line in lines]
""",
        ((["a1", "22b3"],),),
        "re.compile",
    ),
    "compile in a function": Case(
        "hoist-regex",
        """
import re


def f(text):
    word = re.compile(r"\\w+", re.I)
    return word.findall(text)
""",
        ((TEXT,),),
    ),
    "plain regex": Case(
        "plain-regex",
        """
import re


def f(text):
    return re.sub("fox", "cat", text), re.split(", ", text), re.search("dog", text) is None
""",
        ((TEXT,),),
    ),
    # --- accumulating
    "dedupe": Case(
        "dedupe-loop",
        """
def f(words):
    unique = []
    for w in words:
        if w not in unique:
            unique.append(w)
    return unique
""",
        ((WORDS,), ([],)),
    ),
    "dedupe beside a set": Case(
        "dedupe-loop",
        """
def f(words):
    unique = []
    seen = set()
    for w in words:
        if w not in seen:
            unique.append(w)
            seen.add(w)
    return unique
""",
        ((WORDS,), ([],)),
    ),
    "distinct characters": Case(
        "dedupe-loop",
        """
def f(text):
    seen = ""
    for c in text:
        if c not in seen:
            seen += c
    return seen
""",
        (("banana",), ("",)),
    ),
    "count in a dictionary": Case(
        "count-loop",
        """
def f(words):
    counts = {}
    for w in words:
        if w in counts:
            counts[w] += 1
        else:
            counts[w] = 1
    return counts
""",
        ((WORDS,), ([],)),
    ),
    "count with get": Case(
        "count-loop",
        """
def f(text):
    n = {}
    for c in text:
        n[c] = n.get(c, 0) + 1
    return n
""",
        ((TEXT,),),
    ),
    "join pieces": Case(
        "join-pieces",
        """
def f(words):
    out = ""
    for w in words:
        out += w.upper()
        out += " "
    return out.strip()
""",
        ((WORDS,), ([],)),
        '"".join(',
    ),
    "join pieces of pieces": Case(
        "join-pieces",
        """
def f(words):
    out = ""
    for w in words:
        out = out + w[0].upper() + w[1:] + " "
    return out.strip()
""",
        ((WORDS,), ([],)),
    ),
    "join a generator": Case(
        "join-generator",
        """
def f(ws):
    return '-'.join(w[0] for w in ws)
""",
        ((WORDS,),),
    ),
    "append with a condition": Case(
        "append-loop",
        """
def f(ws):
    out = []
    for w in ws:
        if len(w) > 3:
            out.append(w[0])
    return out
""",
        ((WORDS,),),
    ),
    "copy a list": Case(
        "append-loop",
        """
def f(ws):
    out = []
    for w in ws:
        out.append(w)
    return out
""",
        ((WORDS,),),
    ),
    "append to a longer list": Case(
        "append-loop",
        """
def f(ws):
    out = ['x']
    for w in ws:
        for c in w:
            out.append(c)
    return out
""",
        ((WORDS,),),
        "extend",
    ),
    "total": Case(
        "sum-loop",
        """
def f(xs):
    t = 0
    for x in xs:
        t += x
    return t
""",
        (([1, 2],), ([],)),
    ),
    "count if": Case(
        "sum-loop",
        """
def f(ws):
    n = 0
    for w in ws:
        if w[0] == 'f':
            n = n + 1
    return n
""",
        ((WORDS,),),
    ),
    "indices": Case(
        "direct-iteration",
        """
def f(ws):
    for i in range(len(ws)):
        if ws[i] == 'kiwi':
            return i
    return -1
""",
        ((WORDS,), ([],)),
        "enumerate",
    ),
    "only elements": Case(
        "direct-iteration",
        """
def f(words):
    n = 0
    for i in range(0, len(words)):
        n += len(words[i])
    return n
""",
        ((WORDS,),),
        "for word in words",
    ),
    "counted by hand": Case(
        "while-to-range",
        """
def f(ws):
    n = 0
    i = 0
    while i < len(ws):
        n += len(ws[i])
        i += 1
    return n
""",
        ((WORDS,), ([],)),
    ),
    # --- numbers
    "power modulo": Case(
        "modular-power",
        """
def f(a, b, m):
    return a ** b % m
""",
        ((3, 200, 7), (2, 0, 5)),
    ),
    "prime by trial": Case(
        "trial-division",
        """
def f(n):
    if n < 2:
        return False
    for d in range(2, n):
        if n % d == 0:
            return False
    return True
""",
        tuple((n,) for n in range(50)),
    ),
    "divisors": Case(
        "divisor-pairs",
        """
def f(n):
    found = []
    for d in range(1, n + 1):
        if n % d == 0:
            found.append(d)
    return found
""",
        tuple((n,) for n in range(1, 50)),
    ),
    "digits": Case(
        "digit-sum",
        """
def f(n):
    s = 0
    while n > 0:
        s += n % 10
        n = n // 10
    return s
""",
        ((0,), (907,)),
    ),
    # --- library
    "smallest": Case(
        "cheaper-call",
        """
def f(xs):
    return sorted(xs)[0]
""",
        ((WORDS,),),
        "min(",
    ),
    "top three": Case(
        "cheaper-call",
        """
def f(ws):
    return sorted(ws, key=len, reverse=True)[:3]
""",
        ((WORDS,),),
        "heapq.nlargest",
    ),
    "sum of lists": Case(
        "cheaper-call",
        """
def f(xs):
    return sum(xs, [])
""",
        (([[1], [], [2, 3]],),),
        "chain",
    ),
    "in keys": Case(
        "contained-in-copy",
        """
def f(d, x):
    return x in list(d.keys())
""",
        (({"a": 1}, "a"), ({}, "a")),
    ),
    # --- containers, numbers in bulk, the library
    "counted to be there": Case(
        "counted-membership",
        """
def f(words):
    return [words.count("no") == 0, words.count("fig") < 1]
""",
        ((WORDS,), ("a fig",)),
        " not in words)",
    ),
    "a value of a dictionary": Case(
        "values-membership",
        """
def f(prices, wanted):
    found = []
    for w in wanted:
        if w in prices.values():
            found.append(w)
    return found
""",
        (({"a": 1, "b": 2}, [1, 3, 2]), ({}, [1])),
        "prices_values = set(prices.values())",
    ),
    "a copy of numbers": Case(
        "flat-copy",
        """
import copy
def f(n):
    row = [0] * n
    grid = [[1, 2] for _ in range(n)]
    first, second = copy.deepcopy(row), copy.deepcopy(grid)
    first.append(1)
    if second:
        second[0][0] = 9
    return row, grid, first, second
""",
        ((0,), (3,)),
        "list(",
    ),
    "a dictionary by a loop": Case(
        "collect-loop",
        """
def f(words):
    lengths = {}
    for w in words:
        if w:
            lengths[w] = len(w)
    return lengths
""",
        ((WORDS,), ([],)),
        "{w: len(w) for w in words if w}",
    ),
    "a set by a loop": Case(
        "collect-loop",
        """
def f(words):
    lengths = set()
    for w in words:
        lengths.add(len(w))
    return sorted(lengths)
""",
        ((WORDS,), ([],)),
        "{len(w) for w in words}",
    ),
    "bytes piece by piece": Case(
        "join-pieces",
        """
def f(chunks):
    data = b""
    for chunk in chunks:
        data += chunk
    return data
""",
        (([b"a", b"bc"],), ([],)),
        'b"".join(data_parts)',
    ),
    "over an array": Case(
        "array-to-list",
        """
import numpy as np
def f(n):
    xs = np.arange(n)
    total = 0
    for x in xs:
        total += int(x) * 2
    return total
""",
        ((0,), (9,)),
        "in xs.tolist()",
    ),
    "the inverse of a matrix": Case(
        "numeric-swap",
        """
import numpy as np
def f(n):
    a = np.eye(n) * 2
    b = np.ones(n)
    x = np.linalg.inv(a) @ b
    d = a @ np.diag(b) + 1
    return x.tolist(), d.tolist(), float(np.sum(b ** 2)), int(np.sort(b)[0])
""",
        ((1,), (3,)),
    ),
    "a file by all its lines": Case(
        "iterate-file",
        """
def f(name):
    lengths = []
    with open(__import__("os").__file__) as file:
        for line in file.readlines():
            lengths.append(len(line))
    return sum(lengths)
""",
        (("",),),
        "for line in file:",
    ),
    "files of a folder": Case(
        "scan-folder",
        """
import os
def f(name):
    folder = os.path.dirname(os.__file__)
    files = [n for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))]
    folders = [n for n in os.listdir(folder) if os.path.isdir(os.path.join(folder, n))]
    return sorted(files), sorted(folders)
""",
        (("",),),
        ".is_",
    ),
    "json with options": Case(
        "hoist-encoder",
        """
import json

def f(items):
    return [json.dumps(item, sort_keys=True, separators=(",", ":")) for item in items]
""",
        (([{"b": 1, "a": [2]}, "x"],), ([],)),
        "json.JSONEncoder(sort_keys=True, separators=(',', ':')).encode",
    ),
    "a record": Case(
        "slots",
        """
class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def moved(self):
        return Point(self.x + 1, self.y)

def f(n):
    return [(p.x, p.y) for p in [Point(i, 2).moved() for i in range(n)]]
""",
        ((0,), (3,)),
        "__slots__ = ('x', 'y')",
    ),
    "a data class": Case(
        "slots",
        """
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    y: int = 0

def f(n):
    return [Point(i).x for i in range(n)]
""",
        ((0,), (3,)),
        "@dataclass(slots=True)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_rule_fires_and_the_answers_stay(name: str) -> None:
    case = CASES[name]
    sites = sites_of(BY_NAME[case.rule], case.text)
    assert sites, "the rule did not fire"
    for site in sites:
        assert case.has in site.text
        assert answers(site.text, case.inputs) == answers(case.text, case.inputs), site.text


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES.values()} == set(BY_NAME)


def test_every_rule_says_what_it_does_and_where_it_is_from() -> None:
    for rule in EVERY_RULE:
        assert rule.sites.__doc__
        assert rule.sites.__doc__.strip().count("\n") >= 2, rule.name


@pytest.mark.parametrize("name", CASES)
def test_no_rule_breaks_the_code_of_another(name: str) -> None:
    """Beside the rule meant, any other that fires must keep the answers as well."""
    case = CASES[name]
    expected = answers(case.text, case.inputs)
    for rule in RULES:
        for site in sites_of(rule, case.text):
            assert answers(site.text, case.inputs) == expected, (rule.name, site.text)
