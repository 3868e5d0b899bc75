"""The metric: CPU time of every function of text_processor.py on fresh, realistic texts.

    python benchmark.py                     METRIC lines: <function>_us for each, combined_us (their sum),
                                            import_us (the import), peak_mb (memory)
    OPTILOOP_SEED=7 python benchmark.py     the same texts again
    python benchmark.py --scaling           METRIC <function>_exponent: how its time grows with the text

Each answer is compared with reference.py. `optiloop.bench` says how the time is taken and why a candidate
cannot forge it. Sizes are chosen so that a full run of the naive file takes about one second, and so that
functions that are slow by their algorithm weigh most.
"""

import random
from itertools import accumulate

import reference

from optiloop import bench

SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprstvwz" for vowel in "aeiou"]
MIRRORED = ["anna", "civic", "dad", "eve", "kayak", "level", "madam", "noon", "otto", "radar"]


def words(rng: random.Random, count: int) -> list[str]:
    """Words as a text has them: the n-th most frequent one occurs about n times less often (Zipf)."""
    lengths = rng.choices((1, 2, 3, 4), weights=(1, 5, 4, 2), k=count)
    ends = list(accumulate(lengths))
    syllables = rng.choices(SYLLABLES, k=ends[-1])
    invented = ["".join(syllables[end - length : end]) for length, end in zip(lengths, ends, strict=True)]
    common = sorted(reference.STOP_WORDS) + MIRRORED
    rng.shuffle(common)
    vocabulary = common + invented
    return rng.choices(vocabulary, weights=[1 / (rank + 10) for rank in range(len(vocabulary))], k=count)


def prose(rng: random.Random, count: int) -> str:
    """`count` words in sentences of 4 to 20, with commas, in lines of at most about 70 characters."""
    pieces = words(rng, count)
    start = 0
    while start < count:
        end = min(start + rng.randint(4, 20), count)
        pieces[start] = pieces[start].capitalize()
        pieces[(start + end) // 2] += ","
        pieces[end - 1] += rng.choice(".....?!")
        start = end
    lines = [" ".join(pieces[start : start + 11]) for start in range(0, count, 11)]
    return "\n".join(lines)


def letters(rng: random.Random, length: int) -> str:
    """One misspelt word: what a spelling check compares."""
    return "".join(rng.choices("etaoinshrdlu", k=length))


# The last of each draws inputs of a given size, for --scaling.
CASES = [
    bench.Case(
        "split_words", lambda rng: [prose(rng, 150)], reference.split_words, lambda rng, n: [prose(rng, n)]
    ),
    bench.Case(
        "sort_words", lambda rng: [words(rng, 1200)], reference.sort_words, lambda rng, n: [words(rng, n)]
    ),
    bench.Case(
        "count_words", lambda rng: [words(rng, 700)], reference.count_words, lambda rng, n: [words(rng, n)]
    ),
    bench.Case(
        "top_words", lambda rng: [words(rng, 200), 5], reference.top_words, lambda rng, n: [words(rng, n), 5]
    ),
    bench.Case(
        "unique_words", lambda rng: [words(rng, 700)], reference.unique_words, lambda rng, n: [words(rng, n)]
    ),
    bench.Case(
        "common_words",
        lambda rng: [words(rng, 1200), words(rng, 1200)],
        reference.common_words,
        lambda rng, n: [words(rng, n), words(rng, n)],
    ),
    bench.Case(
        "remove_stop_words",
        lambda rng: [words(rng, 500)],
        reference.remove_stop_words,
        lambda rng, n: [words(rng, n)],
    ),
    bench.Case(
        "count_ngrams",
        lambda rng: [words(rng, 500), 2],
        reference.count_ngrams,
        lambda rng, n: [words(rng, n), 2],
    ),
    bench.Case(
        "concordance", lambda rng: [words(rng, 700)], reference.concordance, lambda rng, n: [words(rng, n)]
    ),
    bench.Case("edit_distance", lambda rng: [letters(rng, 9), letters(rng, 9)], reference.edit_distance),
    bench.Case(
        "closest_word",
        lambda rng: [letters(rng, 7), [letters(rng, 7) for _ in range(5)]],
        reference.closest_word,
    ),
    bench.Case(
        "caesar",
        lambda rng: [prose(rng, 400), rng.randint(1, 25)],
        reference.caesar,
        lambda rng, n: [prose(rng, n), rng.randint(1, 25)],
    ),
    bench.Case(
        "find_all",
        lambda rng: [prose(rng, 400), rng.choice(SYLLABLES)],
        reference.find_all,
        lambda rng, n: [prose(rng, n), rng.choice(SYLLABLES)],
    ),
    bench.Case(
        "palindromes", lambda rng: [words(rng, 150)], reference.palindromes, lambda rng, n: [words(rng, n)]
    ),
    bench.Case(
        "line_starts", lambda rng: [prose(rng, 1500)], reference.line_starts, lambda rng, n: [prose(rng, n)]
    ),
    bench.Case(
        "title_case", lambda rng: [prose(rng, 150)], reference.title_case, lambda rng, n: [prose(rng, n)]
    ),
    bench.Case(
        "longest_word", lambda rng: [words(rng, 150)], reference.longest_word, lambda rng, n: [words(rng, n)]
    ),
]

if __name__ == "__main__":
    bench.main("text_processor.py", CASES)
