"""What every function of text_processor.py must return, computed another way: the judge's own answers.

Quick, because the benchmark computes one for each answer it checks; nothing is shared with the candidate.
The stop words are written out again here, so that a shortened list in the candidate is noticed.
"""

import re
from collections import Counter
from itertools import accumulate, islice
from string import ascii_lowercase, ascii_uppercase

_STOP_WORDS = """
    a about after all also an and any are as at be because been before but by can could did do each even
    for from get had has have he her here him his how i if in into is it its just like made make many may me
    more most much must my new no not now of on one only or other our out over said same see she should since
    so some still such take than that the their them then there these they this those through to too two under
    up use very was way we well were what when where which while who will with would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def split_words(text):
    return re.findall(r"(?:[^\W_]|')+", text.lower())


def sort_words(words):
    return sorted(words)


def count_words(words):
    return dict(Counter(words))


def top_words(words, k):
    return [[word, count] for word, count in Counter(words).most_common(max(k, 0))]


def unique_words(words):
    return list(dict.fromkeys(words))


def common_words(first, second):
    shared = set(first).intersection(second)
    return [word for word in dict.fromkeys(first) if word in shared]


def remove_stop_words(words):
    return [word for word in words if word not in STOP_WORDS]


def count_ngrams(words, n):
    if n <= 0:
        return {}
    return dict(
        Counter(map(" ".join, zip(*(islice(words, start, None) for start in range(n)), strict=False)))
    )


def concordance(words):
    positions = {}
    for position, word in enumerate(words):
        positions.setdefault(word, []).append(position)
    return positions


def edit_distance(first, second):
    """Wagner and Fischer (1974), one row at a time."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], min(diagonal + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def closest_word(word, candidates):
    return min(candidates, key=lambda candidate: edit_distance(word, candidate), default=None)


def caesar(text, shift):
    turn = shift % 26
    lower = ascii_lowercase[turn:] + ascii_lowercase[:turn]
    return text.translate(str.maketrans(ascii_lowercase + ascii_uppercase, lower + lower.upper()))


def find_all(text, pattern):
    return [match.start() for match in re.finditer(f"(?={re.escape(pattern)})", text)] if pattern else []


def palindromes(words):
    return [word for word in words if len(word) > 1 and word == word[::-1]]


def line_starts(text):
    return list(accumulate((len(line) + 1 for line in text.split("\n")[:-1]), initial=0))


def title_case(text):
    return " ".join([word[0].upper() + word[1:].lower() for word in text.split()])


def longest_word(words):
    return max(words, key=len, default="")
