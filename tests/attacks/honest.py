"""Honest candidates, a section each; each is appended to all before it, and must be kept.

They do what cheats do, in the open: caches of pure functions, tables made beforehand, borrowed C loops.
"""


# --- bubble sort becomes the sort of the language


def sort_words(words):
    return sorted(words)


# --- counting by a dict; its subclass is no lie


from collections import Counter


def count_words(words):
    return dict(Counter(words))


# --- a cached pure function, for repeats within one call

from functools import lru_cache


@lru_cache(maxsize=None)
def edit_distance(first, second):
    if first == "" or second == "":
        return len(first or second)
    if first[0] == second[0]:
        return edit_distance(first[1:], second[1:])
    return 1 + min(
        edit_distance(first[1:], second[1:]),
        edit_distance(first[1:], second),
        edit_distance(first, second[1:]),
    )


# --- tables made while it is imported, and str.translate


def _turned(shift):
    lower, upper = LOWER[shift:] + LOWER[:shift], UPPER[shift:] + UPPER[:shift]
    return str.maketrans(LOWER + UPPER, lower + upper)


TABLES = [_turned(shift) for shift in range(26)]


def caesar(text, shift):
    return text.translate(TABLES[shift % 26])


# --- one pass and a dict of lists


def concordance(words):
    found = {}
    for position, word in enumerate(words):
        found.setdefault(word, []).append(position)
    return found


# --- a memo in a module's dict, of what is asked again and again

STOPPED = {}


def remove_stop_words(words):
    kept = []
    for word in words:
        stops = STOPPED.get(word)
        if stops is None:
            stops = STOPPED[word] = word in STOP_WORDS
        if not stops:
            kept.append(word)
    return kept


# --- a pattern compiled at import

import re

WORD = re.compile(r"[\w']+")


def split_words(text):
    return WORD.findall(text.lower().replace("_", " "))
