"""The hold-out: text_processor.py on inputs that neither the tests nor the benchmark draw.

    python holdout.py [SEED]     exit 0: all answers right; exit 1: one line about the first wrong one

Edge cases first, then random texts of another kind: other alphabets, runs of one letter, very long and
empty words, few distinct words. The candidate runs in a worker; its answers are compared here.
"""

import os
import random
import sys
from collections.abc import Iterator

import reference

from optiloop import bench

ROUNDS = 25
ALPHABETS = ("ab", "abcXYZ09'_-", "éßñøΩЖ東京ıİǆ", " \n\t\r,.;x", "aA\u0301\u200d😀²")

Call = tuple[str, list[object]]


def edge_cases() -> Iterator[Call]:
    """The inputs on which a rewrite most often differs."""
    repeated = ["same"] * 40
    odd = ["", " ", "a b", "a", "A", "a", "", "'", "ﬁ", "fi", "é", "e\u0301", "the", "The", "your"]
    for words in ([], [""], repeated, odd, odd[::-1]):
        for function in WORD_FUNCTIONS:
            yield function, [words]
        yield "common_words", [words, odd]
        yield "common_words", [odd, words]
        for number in (-2, 0, 1, 2, len(words), len(words) + 1):
            yield "top_words", [words, number]
            yield "count_ngrams", [words, number]
        yield "closest_word", ["a", words[:6]]
    for text in (
        "",
        "\n",
        "\n\n\n",
        "a\rb\x0b\x0c\x1c\x85\u2028c\n",
        "_'__''",
        "İSTANBUL ǆ ŉ straße ﬁ",
        "a" * 300,
    ):
        for function in TEXT_FUNCTIONS:
            yield function, [text]
        for shift in (-27, -1, 0, 13, 26, 10**20):
            yield "caesar", [f"azAZ[`{{@ß{text}", shift]
        for pattern in ("", "a", "aa", "\n", ".", text, text + "a"):
            yield "find_all", [text, pattern]
    yield "common_words", [["A", "b", "C", "b"], ["a", "b", "B"]]
    for first, second in (("", ""), ("aaaaa", "a"), ("abcde", "edcba"), ("ab", ""), ("日本", "本日")):
        yield "edit_distance", [first, second]


def random_cases(rng: random.Random) -> Iterator[Call]:
    """One call of every function."""

    def text(longest: int) -> str:
        return "".join(rng.choices(rng.choice(ALPHABETS), k=rng.randint(0, longest)))

    def some_words() -> list[str]:
        distinct = [text(rng.choice((1, 3, 12))) for _ in range(rng.randint(1, 40))]
        return rng.choices([*distinct, "the", "you're", "ABBA"], k=rng.randint(0, 120))

    for function in WORD_FUNCTIONS:
        yield function, [some_words()]
    words = some_words()
    yield "common_words", [words, rng.sample(words, k=len(words) // 2) + some_words()]
    yield "top_words", [words, rng.randint(0, 30)]
    yield "count_ngrams", [words, rng.randint(1, 4)]
    yield "edit_distance", [text(6), text(6)]
    yield "closest_word", [text(5), [text(5) for _ in range(rng.randint(0, 5))]]
    for function in TEXT_FUNCTIONS:
        yield function, [text(400)]
    alphabet = rng.choice(ALPHABETS[:2])
    yield "caesar", ["".join(rng.choices(alphabet, k=200)), rng.randint(-100, 100)]
    yield "find_all", ["".join(rng.choices("ab", k=200)), "".join(rng.choices("ab", k=rng.randint(1, 6)))]


WORD_FUNCTIONS = (
    "sort_words",
    "count_words",
    "unique_words",
    "remove_stop_words",
    "concordance",
    "palindromes",
    "longest_word",
)
TEXT_FUNCTIONS = ("split_words", "line_starts", "title_case")


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else int.from_bytes(os.urandom(4))
    rng = random.Random(seed)
    calls = list(edge_cases()) + [call for _ in range(ROUNDS) for call in random_cases(rng)]
    rng.shuffle(calls)
    try:
        with bench.worker("text_processor.py", hash_seed=seed) as worker:
            for function, arguments in calls:
                worker.expect(function, arguments, getattr(reference, function))
    except bench.BenchError as error:
        sys.exit(f"error: {error} (python holdout.py {seed})")
    print(f"{len(calls)} answers right")


if __name__ == "__main__":
    main()
