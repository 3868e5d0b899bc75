"""What somebody who knows Python well makes of targets/text_processor by hand: a yardstick.

It promises what the shipped file promises; benchmarks/text_processor.py runs the same tests on it.
"""

import re
from collections import Counter, defaultdict
from functools import lru_cache
from itertools import accumulate

LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = LOWER.upper()
_WORDS = (
    "a about after all also an and any are as at be because been before but by can could did do each "
    "even for from get had has have he her here him his how i if in into is it its just like made make "
    "many may me more most much must my new no not now of on one only or other our out over said same "
    "see she should since so some still such take than that the their them then there these they this "
    "those through to too two under up use very was way we well were what when where which while who "
    "will with would you your"
)
STOP_WORDS = _WORDS.split()
_STOP_WORDS = frozenset(STOP_WORDS)
_WORD = re.compile(r"[\w']+")


def split_words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("_", " "))


def sort_words(words: list[str]) -> list[str]:
    return sorted(words)


def count_words(words: list[str]) -> dict[str, int]:
    return dict(Counter(words))


def top_words(words: list[str], k: int) -> list[list[str | int]]:
    return [list(pair) for pair in Counter(words).most_common(k)]


def unique_words(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def common_words(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys(filter(frozenset(second).__contains__, first)))


def remove_stop_words(words: list[str]) -> list[str]:
    return [word for word in words if word not in _STOP_WORDS]


def count_ngrams(words: list[str], n: int) -> dict[str, int]:
    if n <= 0:
        return {}
    return dict(Counter(map(" ".join, zip(*(words[start:] for start in range(n)), strict=False))))


def concordance(words: list[str]) -> dict[str, list[int]]:
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for position, word in enumerate(words):
        positions[word].append(position)
    return dict(positions)


def edit_distance(first: str, second: str) -> int:
    """Myers' bit-parallel algorithm (1999): one step for each character of the second word."""
    if not first or not second:
        return len(first) or len(second)
    where: dict[str, int] = {}
    for position, character in enumerate(first):
        where[character] = where.get(character, 0) | 1 << position
    mask, last, distance = (1 << len(first)) - 1, 1 << len(first) - 1, len(first)
    plus, minus = mask, 0
    for character in second:
        same = where.get(character, 0)
        vertical = same | minus
        horizontal = ((same & plus) + plus ^ plus) | same
        more, less = minus | ~(horizontal | plus), plus & horizontal
        if more & last:
            distance += 1
        elif less & last:
            distance -= 1
        more = more << 1 | 1
        plus = (less << 1 | ~(vertical | more)) & mask
        minus = more & vertical & mask
    return distance


def closest_word(word: str, candidates: list[str]) -> str | None:
    return min(candidates, key=lambda candidate: edit_distance(word, candidate), default=None)


@lru_cache(maxsize=26)
def _shifted(shift: int) -> dict[int, int]:
    return str.maketrans(
        LOWER + UPPER, "".join(letters[shift:] + letters[:shift] for letters in (LOWER, UPPER))
    )


def caesar(text: str, shift: int) -> str:
    return text.translate(_shifted(shift % 26))


def find_all(text: str, pattern: str) -> list[int]:
    positions = []
    if pattern:
        found = text.find(pattern)
        while found >= 0:
            positions.append(found)
            found = text.find(pattern, found + 1)
    return positions


def palindromes(words: list[str]) -> list[str]:
    return [word for word in words if word == word[::-1] and len(word) > 1]


def line_starts(text: str) -> list[int]:
    ends = accumulate(map(len, text.split("\n")[:-1]), initial=0)
    return [line + end for line, end in enumerate(ends)]


def title_case(text: str) -> str:
    return " ".join([word[0].upper() + word[1:].lower() for word in text.split()])


def longest_word(words: list[str]) -> str:
    return max(words, key=len, default="")
