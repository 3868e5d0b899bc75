"""What the naive functions of benchmarks/naive must return, and on what they are run.

Each has an answer of its own that shares no code with it, a workload that takes it some milliseconds, and
small inputs with the edge cases in them. All inputs are drawn from the generator that is handed in.
"""

from __future__ import annotations

import calendar
import datetime
import functools
import itertools
import math
import random
import re
import statistics
import string
from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush, merge, nsmallest
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

Draw = Callable[[random.Random], list[Any]]


class Known(NamedTuple):
    """One function: its arguments at work and in its edge cases, and the right answer to them."""

    workload: Draw
    small: Draw
    right: Callable[..., Any]


CASES: dict[str, Known] = {}


def known(workload: Draw, small: Draw) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function as the right answer of the naive function of its name."""

    def enter(right: Callable[..., Any]) -> Callable[..., Any]:
        CASES[right.__name__] = Known(workload, small, right)
        return right

    return enter


# --- what inputs are drawn from --------------------------------------------------------------------------


VOCABULARY = 1000


def ints(rng: random.Random, count: int, low: int = -1000, high: int = 1000) -> list[int]:
    return [rng.randint(low, high) for _ in range(count)]


def few(rng: random.Random, low: int = -4, high: int = 4, *, least: int = 0) -> list[int]:
    """A short list of close numbers: empty, single, equal ones among them."""
    return ints(rng, rng.randint(least, 7), low, high)


def word(rng: random.Random, length: int, letters: str = "etaoinshrdlu") -> str:
    return "".join(rng.choices(letters, k=length))


def words(rng: random.Random, count: int, longest: int = 9) -> list[str]:
    known = [word(rng, rng.randint(1, longest)) for _ in range(min(count, VOCABULARY))]
    return known if count <= VOCABULARY else rng.choices(known, k=count)


def text(rng: random.Random, count: int) -> str:
    """Words and spaces, some with a capital."""
    return " ".join(words(rng, count)).replace(" ta", " Ta")


def odd_text(rng: random.Random) -> str:
    return word(rng, rng.randint(0, 12), "aAbB zZ1\tÄß.")


def grid(rng: random.Random, rows: int, columns: int, low: int = -9, high: int = 9) -> list[list[int]]:
    return [ints(rng, columns, low, high) for _ in range(rows)]


def neighbours(rng: random.Random, size: int, degree: int, *, forward: bool = False) -> list[list[int]]:
    """A graph as lists of neighbours; with `forward` they all have larger numbers, so there is no circle."""
    found = []
    for node in range(size):
        pool = range(node + 1, min(size, node + 4)) if forward else range(size)
        found.append(sorted(rng.sample(pool, min(degree, len(pool)))))
    return found


def edges(rng: random.Random, size: int, count: int) -> list[list[int]]:
    return [[rng.randrange(size), rng.randrange(size)] for _ in range(count)]


def forward_edges(rng: random.Random, size: int, count: int) -> list[list[int]]:
    return [sorted(rng.sample(range(size), 2)) for _ in range(count)] if size > 1 else []


# --- strings ---------------------------------------------------------------------------------------------


@known(lambda rng: [text(rng, 12000)], lambda rng: [odd_text(rng)])
def reverse_words(line: str) -> str:
    return " ".join(reversed(line.split()))


@known(lambda rng: [text(rng, 20000)], lambda rng: [odd_text(rng)])
def count_vowels(line: str) -> int:
    return len(re.findall("[aeiouAEIOU]", line))


@known(
    lambda rng: [word(rng, 9000, string.ascii_letters)],
    lambda rng: [word(rng, rng.choice((0, 5, 200)), string.ascii_letters)],
)
def is_pangram(line: str) -> bool:
    return set(string.ascii_lowercase) <= set(line.lower())


@known(lambda rng: [word(rng, 30000, "ab")], lambda rng: [word(rng, rng.randint(0, 9), "ab")])
def run_length_encode(line: str) -> str:
    return "".join(f"{len(list(run))}{letter}" for letter, run in itertools.groupby(line))


@known(lambda rng: [word(rng, 3000)], lambda rng: [word(rng, rng.randint(0, 9), "abc")])
def most_common_letter(line: str) -> str:
    return Counter(line).most_common(1)[0][0] if line else ""


def _anagrams(rng: random.Random, length: int, letters: str) -> list[str]:
    first = word(rng, length, letters)
    second = "".join(rng.sample(first, length))
    return [first, second] if rng.random() < 0.9 else [first, second[1:] + rng.choice(letters)]


@known(
    lambda rng: _anagrams(rng, 4000, string.printable),
    lambda rng: (
        _anagrams(rng, rng.randint(1, 4), "ab")
        if rng.random() < 0.5
        else [word(rng, rng.randint(0, 3), "ab"), word(rng, rng.randint(0, 3), "ab")]
    ),
)
def are_anagrams(first: str, second: str) -> bool:
    return sorted(first) == sorted(second)


@known(lambda rng: [word(rng, 300, "ab")], lambda rng: [word(rng, rng.randint(0, 9), "abc")])
def longest_palindrome(line: str) -> str:
    for length in range(len(line), 0, -1):
        for start in range(len(line) - length + 1):
            if all(line[start + i] == line[start + length - 1 - i] for i in range(length // 2)):
                return line[start : start + length]
    return ""


@known(
    lambda rng: [text(rng, 6000), word(rng, 7)],
    lambda rng: [word(rng, rng.randint(0, 12), "abz .Zé"), word(rng, rng.randint(1, 3))],
)
def vigenere(line: str, key: str) -> str:
    shifts = itertools.cycle([ord(letter) - 97 for letter in key])
    return re.sub("[a-z]", lambda match: chr((ord(match[0]) - 97 + next(shifts)) % 26 + 97), line)


@known(
    lambda rng: [[word(rng, 12, "abcdefgABC") for _ in range(6000)]],
    lambda rng: [[word(rng, rng.randint(0, 5), "aBCé_1") for _ in range(rng.randint(0, 3))]],
)
def snake_case(names: list[str]) -> list[str]:
    return [
        "".join(
            f"_{letter.lower()}" if i and letter.isupper() else letter.lower()
            for i, letter in enumerate(name)
        )
        for name in names
    ]


@known(
    lambda rng: [[word(rng, 30, "abc 0123456789") for _ in range(4000)]],
    lambda rng: [[word(rng, rng.randint(0, 6), "a01 ") for _ in range(rng.randint(0, 3))]],
)
def mask_numbers(lines: list[str]) -> list[str]:
    found = []
    for line in lines:
        runs = itertools.groupby(line, key=lambda letter: letter in string.digits)
        found.append("".join("#" if digits else "".join(run) for digits, run in runs))
    return found


@known(
    lambda rng: [words(rng, 25000), "h"], lambda rng: [words(rng, rng.randint(0, 4), 3), rng.choice("eta")]
)
def words_with_letter(all_words: list[str], letter: str) -> list[str]:
    return [each for each in all_words if each.find(letter) >= 0]


# --- lists -----------------------------------------------------------------------------------------------


@known(
    lambda rng: [[ints(rng, 4) for _ in range(1800)]],
    lambda rng: [[few(rng) for _ in range(rng.randint(0, 3))]],
)
def flatten(rows: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(rows))


@known(
    lambda rng: [ints(rng, 6000), rng.randint(20000, 25000)],
    lambda rng: [few(rng, least=1), rng.randint(0, 9)],
)
def rotate(items: list[int], steps: int) -> list[int]:
    turned = deque(items)
    turned.rotate(-steps)
    return list(turned)


@known(
    lambda rng: [sorted(ints(rng, 12000)), sorted(ints(rng, 12000))],
    lambda rng: [sorted(few(rng)), sorted(few(rng))],
)
def merge_sorted(first: list[int], second: list[int]) -> list[int]:
    return list(merge(first, second))


@known(lambda rng: [[2 * each for each in ints(rng, 700)], 4001], lambda rng: [few(rng), rng.randint(-5, 5)])
def has_pair_with_sum(numbers: list[int], target: int) -> bool:
    return any(a + b == target for a, b in itertools.combinations(numbers, 2))


@known(lambda rng: [ints(rng, 900), ints(rng, 900)], lambda rng: [few(rng), few(rng)])
def common_items(first: list[int], second: list[int]) -> list[int]:
    there = set(second)
    return list(dict.fromkeys(item for item in first if item in there))


@known(lambda rng: [ints(rng, 1500)], lambda rng: [few(rng)])
def running_totals(numbers: list[int]) -> list[int]:
    return list(itertools.accumulate(numbers))


@known(lambda rng: [ints(rng, 700)], lambda rng: [few(rng)])
def count_inversions(numbers: list[int]) -> int:
    seen: list[int] = []
    found = 0
    for number in reversed(numbers):
        found += bisect_left(seen, number)
        insort(seen, number)
    return found


@known(lambda rng: [ints(rng, 180)], lambda rng: [few(rng, least=1)])
def best_slice_sum(numbers: list[int]) -> int:
    best = ending = numbers[0]
    for number in numbers[1:]:
        ending = max(number, ending + number)
        best = max(best, ending)
    return best


@known(lambda rng: [ints(rng, 700)], lambda rng: [few(rng, 0, 1)])
def majority(items: list[int]) -> int | None:
    counts = Counter(items)
    return next((item for item in items if 2 * counts[item] > len(items)), None)


@known(lambda rng: [ints(rng, 6000), 60], lambda rng: [few(rng), rng.randint(1, 4)])
def sliding_maximum(numbers: list[int], width: int) -> list[int]:
    return [max(numbers[i : i + width]) for i in range(len(numbers) - width + 1)]


@known(lambda rng: [ints(rng, 800)], lambda rng: [few(rng)])
def selection_sort(numbers: list[int]) -> list[int]:
    return sorted(numbers)


@known(lambda rng: [words(rng, 8000)], lambda rng: [words(rng, rng.randint(0, 5), 3)])
def group_by_length(all_words: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in all_words:
        found.setdefault(str(len(each)), []).append(each)
    return found


@known(lambda rng: [ints(rng, 60000)], lambda rng: [few(rng)])
def smallest_three(numbers: list[int]) -> list[int]:
    return nsmallest(3, numbers)


# --- numbers ---------------------------------------------------------------------------------------------


@known(lambda rng: [rng.randint(1400, 1500)], lambda rng: [rng.randint(0, 60)])
def primes_up_to(limit: int) -> list[int]:
    sieve = [False, False] + [True] * (limit - 1)
    for number in range(2, math.isqrt(max(limit, 0)) + 1):
        if sieve[number]:
            sieve[number * number :: number] = [False] * len(sieve[number * number :: number])
    return [number for number in range(2, limit + 1) if sieve[number]]


@known(
    lambda rng: [rng.randint(100_000, 120_000)],
    lambda rng: [rng.choice((0, 1, 2, 36, 37, rng.randint(1, 200)))],
)
def divisors(number: int) -> list[int]:
    found = {1} if number > 0 else set()
    rest, prime = number, 2
    while rest > 1:
        while rest % prime == 0:
            found |= {each * prime for each in found}
            rest //= prime
        prime += 1 if prime * prime <= rest else max(rest - prime, 1)
    return sorted(found)


@known(
    lambda rng: [60 * rng.randint(2000, 2500), 60 * rng.randint(2000, 2500)],
    lambda rng: [rng.randint(1, 40), rng.randint(1, 40)],
)
def greatest_common_divisor(a: int, b: int) -> int:
    return math.gcd(a, b)


@known(lambda rng: [rng.randint(500, 600)], lambda rng: [rng.randint(0, 30)])
def perfect_numbers(limit: int) -> list[int]:
    return [number for number in (6, 28, 496, 8128) if number < limit]


@known(lambda rng: [rng.randint(1500, 1800)], lambda rng: [rng.randint(1, 30)])
def longest_collatz(limit: int) -> int:
    @functools.cache
    def steps(number: int) -> int:
        return 0 if number == 1 else 1 + steps(3 * number + 1 if number % 2 else number // 2)

    return max(range(1, limit + 1), key=steps)


@known(lambda rng: [rng.getrandbits(9000) | 1 << 9000], lambda rng: [rng.choice((0, 1, rng.randint(0, 64)))])
def to_binary(number: int) -> str:
    return f"{number:b}"


@known(
    lambda rng: [ints(rng, 40, 10**6, 10**7), rng.randint(3000, 3100), 1_000_003],
    lambda rng: [few(rng, 0, 9), rng.randint(0, 6), rng.randint(1, 20)],
)
def encrypt_numbers(messages: list[int], exponent: int, modulus: int) -> list[int]:
    return [pow(message, exponent, modulus) for message in messages]


@known(lambda rng: [ints(rng, 9000, 0, 10**9)], lambda rng: [few(rng, 0, 99)])
def digit_sums(numbers: list[int]) -> list[int]:
    found = []
    for number in numbers:
        total = 0
        while number:
            number, digit = divmod(number, 10)
            total += digit
        found.append(total)
    return found


@known(lambda rng: [rng.randint(95, 105)], lambda rng: [rng.randint(0, 26)])
def pythagorean_triples(limit: int) -> list[list[int]]:
    found = []
    for a in range(1, limit + 1):
        for b in range(a, limit + 1):
            c = math.isqrt(a * a + b * b)
            if c <= limit and c * c == a * a + b * b:
                found.append([a, b, c])
    return found


@known(lambda rng: [rng.randint(9000, 11000)], lambda rng: [rng.randint(0, 400)])
def narcissistic_numbers(limit: int) -> list[int]:
    all_of_them = [*range(10), 153, 370, 371, 407, 1634, 8208, 9474, 54748]
    return [number for number in all_of_them if number < limit]


@known(
    lambda rng: [[rng.randint(30, 40), rng.choice((37, 41)), rng.choice((43, 47))]],
    lambda rng: [ints(rng, rng.randint(1, 3), 1, 9)],
)
def least_common_multiple(numbers: list[int]) -> int:
    return math.lcm(*numbers)


# --- dates -----------------------------------------------------------------------------------------------


def _date(rng: random.Random, low: int, high: int) -> datetime.date:
    first, last = datetime.date(low, 1, 1).toordinal(), datetime.date(high, 12, 31).toordinal()
    return datetime.date.fromordinal(rng.randint(first, last))


def _two_dates(rng: random.Random, low: int, high: int) -> list[Any]:
    return [[day.year, day.month, day.day] for day in sorted([_date(rng, low, high), _date(rng, low, high)])]


def _ordinal(date: Sequence[int]) -> int:
    return datetime.date(*date).toordinal()


@known(
    lambda rng: [[1900, 1, 1], _two_dates(rng, 2000, 2030)[0]],
    lambda rng: _two_dates(rng, 1996, 2001),
)
def days_between(first: list[int], second: list[int]) -> int:
    return _ordinal(second) - _ordinal(first)


@known(lambda rng: [2001, 2007], lambda rng: [rng.randint(1990, 1999), rng.randint(1988, 2001)])
def fridays_the_thirteenth(start: int, end: int) -> int:
    years = range(start, end + 1)
    return sum(calendar.weekday(year, month, 13) == 4 for year in years for month in range(1, 13))


def _dates(rng: random.Random, count: int) -> list[str]:
    return [f"{day:%d/%m/%Y}" for day in (_date(rng, 1990, 2020) for _ in range(count))]


@known(lambda rng: [_dates(rng, 110)], lambda rng: [_dates(rng, rng.randint(0, 5))])
def sort_dates(dates: list[str]) -> list[str]:
    return sorted(dates, key=lambda date: date[6:] + date[3:5] + date[:2])


def _times(rng: random.Random, count: int) -> list[str]:
    return [f"{int(rng.triangular(0, 23)):02}:{rng.randrange(60):02}" for _ in range(count)]


@known(lambda rng: [_times(rng, 1000)], lambda rng: [_times(rng, rng.randint(0, 6))])
def busiest_hour(times: list[str]) -> str:
    counts = Counter(time[:2] for time in times)
    return max(counts, key=lambda hour: counts[hour], default="")


@known(
    lambda rng: [[f"{rng.randrange(20)}:{rng.randrange(60):02}:{rng.randrange(60):02}" for _ in range(9000)]],
    lambda rng: [[f"{rng.randrange(2)}:{rng.randrange(60)}:00" for _ in range(rng.randint(0, 4))]],
)
def total_duration(durations: list[str]) -> list[int]:
    total = datetime.timedelta()
    for duration in durations:
        hours, minutes, seconds = map(int, duration.split(":"))
        total += datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    minutes, seconds = divmod(total.days * 86400 + total.seconds, 60)
    return [*divmod(minutes, 60), seconds]


# --- matrices --------------------------------------------------------------------------------------------


def _two_matrices(rng: random.Random, size: int) -> list[Any]:
    return [grid(rng, size, size), grid(rng, size, size)]


@known(
    lambda rng: _two_matrices(rng, 50),
    lambda rng: [grid(rng, 2, size := rng.randint(1, 3)), grid(rng, size, 2)],
)
def multiply(a: list[list[int]], b: list[list[int]]) -> list[list[int]]:
    columns = list(zip(*b, strict=True))
    return [[sum(map(int.__mul__, row, column)) for column in columns] for row in a]


@known(lambda rng: [grid(rng, 300, 300)], lambda rng: [grid(rng, rng.randint(1, 3), rng.randint(1, 3))])
def transpose(matrix: list[list[int]]) -> list[list[int]]:
    return [list(column) for column in zip(*matrix, strict=True)]


@known(lambda rng: [grid(rng, 8, 8)], lambda rng: [grid(rng, size := rng.randint(1, 4), size)])
def determinant(matrix: list[list[int]]) -> int:
    size, rows, sign, before = len(matrix), [list(row) for row in matrix], 1, 1
    for k in range(size - 1):  # fraction-free elimination, after Bareiss 1968
        pivot = next((i for i in range(k, size) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, size):
            for j in range(k + 1, size):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // before
        before = rows[k][k]
    return sign * rows[-1][-1]


@known(lambda rng: [grid(rng, 90, 90)], lambda rng: [grid(rng, rng.randint(0, 4), rng.randint(1, 4))])
def spiral(matrix: list[list[int]]) -> list[int]:
    if not matrix:
        return []
    left = {(r, c) for r in range(len(matrix)) for c in range(len(matrix[0]))}
    found, r, c, dr, dc = [], 0, 0, 0, 1
    while left:
        found.append(matrix[r][c])
        left.discard((r, c))
        if (r + dr, c + dc) not in left:
            dr, dc = dc, -dr
        r, c = r + dr, c + dc
    return found


def _magic(rng: random.Random, size: int) -> list[list[int]]:
    """A magic square of odd size by the Siamese method, spoilt now and then."""
    square = [[0] * size for _ in range(size)]
    r, c = 0, size // 2
    for number in range(1, size * size + 1):
        square[r][c] = number
        up, right = (r - 1) % size, (c + 1) % size
        r, c = ((r + 1) % size, c) if square[up][right] else (up, right)
    if rng.random() < 0.3:
        square[rng.randrange(size)][rng.randrange(size)] = rng.randint(1, size * size)
    return square


@known(lambda rng: [_magic(rng, 45)], lambda rng: [_magic(rng, rng.choice((1, 3, 5)))])
def is_magic_square(square: list[list[int]]) -> bool:
    size = len(square)
    lines = [*square, *map(list, zip(*square, strict=True))]
    lines += [[square[i][i] for i in range(size)], [square[i][-1 - i] for i in range(size)]]
    different = {number for row in square for number in row}
    return len(different) == size * size and len({sum(line) for line in lines}) == 1


def _regions(rng: random.Random, size: int, count: int) -> list[list[int]]:
    found = []
    for _ in range(count):
        (top, bottom), (left, right) = (sorted(ints(rng, 2, 0, size)) for _ in range(2))
        found.append([top, left, bottom, right])
    return found


@known(
    lambda rng: [grid(rng, 60, 60), _regions(rng, 60, 500)],
    lambda rng: [grid(rng, 3, 3), _regions(rng, 3, rng.randint(0, 4))],
)
def region_sums(matrix: list[list[int]], regions: list[list[int]]) -> list[int]:
    return [sum(sum(row[left:right]) for row in matrix[top:bottom]) for top, left, bottom, right in regions]


@known(lambda rng: [grid(rng, 50, 50)], lambda rng: [grid(rng, rng.randint(1, 3), rng.randint(1, 3), 0, 2)])
def saddle_points(matrix: list[list[int]]) -> list[list[int]]:
    lows = [min(column) for column in zip(*matrix, strict=True)]
    return [
        [i, j] for i, row in enumerate(matrix) for j, value in enumerate(row) if max(row) == value == lows[j]
    ]


# --- graphs ----------------------------------------------------------------------------------------------


@known(
    lambda rng: [neighbours(rng, 2000, 3), 0, 1999],
    lambda rng: [neighbours(rng, 6, rng.randint(0, 2)), rng.randrange(6), rng.randrange(6)],
)
def shortest_path_length(graph: list[list[int]], start: int, goal: int) -> int:
    reached, front, distance = {start}, {start}, 0
    while front:
        if goal in front:
            return distance
        front = {other for node in front for other in graph[node]} - reached
        reached |= front
        distance += 1
    return -1


@known(
    lambda rng: [700, edges(rng, 700, 600)],
    lambda rng: [size := rng.randint(1, 6), edges(rng, size, rng.randint(0, 5))],
)
def count_components(size: int, links: list[list[int]]) -> int:
    parent = list(range(size))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in links:
        parent[root(a)] = root(b)
    return sum(parent[node] == node for node in range(size))


def _roads(rng: random.Random, size: int, count: int) -> list[list[int]]:
    return [[*edge, rng.randint(1, 50)] for edge in edges(rng, size, count)]


@known(
    lambda rng: [130, _roads(rng, 130, 700), 0],
    lambda rng: [size := rng.randint(1, 5), _roads(rng, size, rng.randint(0, 9)), rng.randrange(size)],
)
def dijkstra(size: int, roads: list[list[int]], start: int) -> list[int]:
    ways = defaultdict(list)
    for a, b, length in roads:
        ways[a].append((b, length))
    # What the naive function leaves in nodes that cannot be reached: 10**9, or more by a road from such.
    best = [1_000_000_000] * size
    best[start] = 0
    heap = [(0, start)]
    while heap:
        distance, node = heappop(heap)
        if distance > best[node]:
            continue
        for other, length in ways[node]:
            if distance + length < best[other]:
                best[other] = distance + length
                heappush(heap, (best[other], other))
    return best


@known(
    lambda rng: [neighbours(rng, 20, 3, forward=True), 0, 19],
    lambda rng: [neighbours(rng, 6, rng.randint(0, 3), forward=True), rng.randrange(3), rng.randrange(6)],
)
def count_routes(graph: list[list[int]], start: int, goal: int) -> int:
    ways = [0] * len(graph)
    ways[goal] = 1
    for node in range(goal - 1, -1, -1):
        ways[node] = sum(ways[other] for other in graph[node])
    return ways[start]


@known(
    lambda rng: [300, edges(rng, 300, 900)],
    lambda rng: [size := rng.randint(1, 5), edges(rng, size, rng.randint(0, 6))],
)
def degrees(size: int, links: list[list[int]]) -> list[int]:
    counts = Counter(node for link in links for node in set(link))
    return [counts[node] for node in range(size)]


def _friends(rng: random.Random, people: int, each: int) -> dict[str, list[str]]:
    names = [f"p{number}" for number in range(people)]
    return {name: rng.sample(names, min(each, people)) for name in names}


@known(lambda rng: [_friends(rng, 70, 12)], lambda rng: [_friends(rng, rng.randint(0, 6), rng.randint(2, 5))])
def mutual_friends(friends: dict[str, list[str]]) -> list[list[str]]:
    return [
        [a, b]
        for a, b in itertools.combinations(sorted(friends), 2)
        if len(set(friends[a]) & set(friends[b])) >= 3
    ]


@known(
    lambda rng: [110, forward_edges(rng, 110, 250)],
    lambda rng: [size := rng.randint(1, 6), forward_edges(rng, size, rng.randint(0, 6))],
)
def topological_order(size: int, links: list[list[int]]) -> list[int]:
    # The smallest node that is ready goes first.
    waits = Counter(after for _, after in links)
    heap: list[int] = []
    for node in range(size):
        if not waits[node]:
            heappush(heap, node)
    order = []
    while heap:
        node = heappop(heap)
        order.append(node)
        for before, after in links:
            if before == node:
                waits[after] -= 1
                if not waits[after]:
                    heappush(heap, after)
    return order


# --- parsing ---------------------------------------------------------------------------------------------


@known(
    lambda rng: [",".join(each if rng.random() < 0.7 else f'"{each},{each}"' for each in words(rng, 12000))],
    lambda rng: [word(rng, rng.randint(0, 10), 'ab,"')],
)
def parse_csv_line(line: str) -> list[str]:
    fields = [""]
    for number, piece in enumerate(line.split('"')):
        if number % 2:
            fields[-1] += piece
        else:
            first, *rest = piece.split(",")
            fields[-1] += first
            fields += rest
    return fields


def _log(rng: random.Random, count: int) -> list[str]:
    levels = ("DEBUG", "INFO", "INFO", "WARNING", "ERROR")
    said = words(rng, 50)
    return [f"12:{rng.randrange(60):02} {rng.choice(levels)} {rng.choice(said)} failed" for _ in range(count)]


@known(lambda rng: [_log(rng, 16000)], lambda rng: [_log(rng, rng.randint(0, 5))])
def count_levels(lines: list[str]) -> dict[str, int]:
    return dict(Counter(line.split(" ")[1] for line in lines))


def _query(rng: random.Random, count: int) -> str:
    return "&".join(f"{word(rng, 6)}={word(rng, 8)}" for _ in range(count))


@known(
    lambda rng: [_query(rng, 1300)],
    lambda rng: [_query(rng, rng.randint(0, 3)) if rng.random() < 0.5 else word(rng, 6, "ab=&")],
)
def parse_query(line: str) -> dict[str, str]:
    if not re.search(r"[%+]", line) and re.fullmatch(r"(\w+=\w+(&\w+=\w+)*)?", line):
        return dict(parse_qsl(line))
    pairs = (pair.partition("=") for pair in line.split("&") if "=" in pair)
    return {name: value for name, _, value in pairs}


def _brackets(rng: random.Random, count: int) -> str:
    opened: list[str] = []
    found: list[str] = []
    while len(found) < count:
        if opened and rng.random() < 0.45:
            found.append({"(": ")", "[": "]", "{": "}"}[opened.pop()])
        else:
            opened.append(rng.choice("([{"))
            found.append(opened[-1])
    return "".join(found) + "".join({"(": ")", "[": "]", "{": "}"}[each] for each in reversed(opened))


@known(
    lambda rng: [_brackets(rng, 25000)],
    lambda rng: [_brackets(rng, rng.randint(0, 6)) if rng.random() < 0.5 else word(rng, 4, "([{)]}x")],
)
def is_balanced(line: str) -> bool:
    left = re.sub(r"[^()\[\]{}]", "", line)
    stack: list[str] = []
    pairs = dict(zip(")]}", "([{", strict=True))
    for bracket in left:
        if bracket not in pairs:
            stack.append(bracket)
        elif not stack or stack.pop() != pairs[bracket]:
            return False
    return not stack


def _postfix(rng: random.Random, count: int) -> str:
    tokens, depth = [str(rng.randint(0, 99))], 1
    for _ in range(count):
        if depth > 1 and rng.random() < 0.5:
            tokens.append(rng.choice("+-*"))
            depth -= 1
        else:
            tokens.append(str(rng.randint(0, 99)))
            depth += 1
    return " ".join([*tokens, *rng.choices("+-*", k=depth - 1)])


@known(lambda rng: [_postfix(rng, 35000)], lambda rng: [_postfix(rng, rng.randint(0, 6))])
def evaluate_postfix(line: str) -> int:
    operators: dict[str, Callable[[int, int], int]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b % 1000003,
    }
    stack: deque[int] = deque()
    for token in line.split():
        if token in operators:
            second, first = stack.pop(), stack.pop()
            stack.append(operators[token](first, second))
        else:
            stack.append(int(token))
    return stack[0]


_ROMAN = list(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        strict=True,
    )
)


def _roman(number: int) -> str:
    found = ""
    for value, letters in _ROMAN:
        found += letters * (number // value)
        number %= value
    return found


@known(
    lambda rng: [[_roman(number) for number in ints(rng, 5000, 1, 3999)]],
    lambda rng: [[_roman(number) for number in few(rng, 1, 50)]],
)
def roman_to_numbers(numerals: list[str]) -> list[int]:
    found = []
    for numeral in numerals:
        total = 0
        for value, letters in _ROMAN:
            while numeral.startswith(letters):
                total += value
                numeral = numeral[len(letters) :]
        found.append(total)
    return found


@known(
    lambda rng: [" ".join(f"<{each}>{each}</{each}>" for each in words(rng, 3000))],
    lambda rng: [word(rng, rng.randint(0, 10), "ab<>")],
)
def strip_tags(line: str) -> str:
    return re.sub(r"<[^>]*(>|\Z)", "", line).replace(">", "")


@known(
    lambda rng: [[f"10.0.{rng.randrange(9)}.{rng.randrange(99)} GET /{each}" for each in words(rng, 3000)]],
    lambda rng: [[f"10.0.0.{rng.randrange(3)} GET" for _ in range(rng.randint(0, 5))]],
)
def unique_visitors(lines: list[str]) -> int:
    return len({line.partition(" ")[0] for line in lines})


@known(
    lambda rng: [[[*words(rng, 6), 7, "x"] for _ in range(2500)]],
    lambda rng: [
        [rng.choices(["", "a", 0, "b c", None], k=rng.randint(0, 4)) for _ in range(rng.randint(0, 3))]
    ],
)
def join_fields(rows: list[list[Any]]) -> str:
    # The naive function writes no `;` while its line is still empty.
    lines = []
    for row in rows:
        fields = list(itertools.dropwhile(lambda field: field == "", map(str, row)))
        lines.append(";".join(fields) + "\n")
    return "".join(lines)


# --- recursion -------------------------------------------------------------------------------------------


@known(lambda rng: [25], lambda rng: [rng.randint(0, 12)])
def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@known(lambda rng: [19], lambda rng: [rng.randint(-1, 9)])
def ways_up_the_stairs(steps: int) -> int:
    ways = [0, 0, 1]
    for _ in range(steps):
        ways.append(sum(ways[-3:]))
    return ways[-1] if steps >= 0 else 0


@known(lambda rng: [20, rng.randint(6, 8)], lambda rng: [n := rng.randint(0, 9), rng.randint(0, n)])
def binomial(n: int, k: int) -> int:
    return math.comb(n, k)


@known(
    lambda rng: [[2 * each for each in ints(rng, 15, 1, 1000)], 30001],
    lambda rng: [few(rng, 0, 9), rng.randint(0, 20)],
)
def can_make_sum(numbers: list[int], target: int) -> bool:
    reachable = {0}
    for number in numbers:
        reachable |= {each + number for each in reachable}
    return target in reachable


@known(
    lambda rng: [220, [50, 20, 10, 5, 2]], lambda rng: [rng.randint(0, 15), [1, 2, 5][: rng.randint(0, 3)]]
)
def ways_to_change(amount: int, coins: list[int]) -> int:
    ways = [1] + [0] * amount
    for coin in coins:
        for value in range(coin, amount + 1):
            ways[value] += ways[value - coin]
    return ways[amount]


@known(lambda rng: [15, "A", "B", "C"], lambda rng: [rng.randint(0, 5), "A", "B", "C"])
def hanoi(discs: int, source: str, spare: str, target: str) -> list[str]:
    # Move m goes from peg (m & m-1) % 3 to peg ((m | m-1) + 1) % 3; for an odd number of discs mirrored.
    pegs = (source, target, spare) if discs % 2 == 0 else (source, spare, target)
    return [pegs[(m & m - 1) % 3] + pegs[((m | m - 1) + 1) % 3] for m in range(1, 2**discs)]


@known(lambda rng: [rng.sample(range(50), 7)], lambda rng: [rng.sample(range(9), rng.randint(0, 4))])
def permutations(items: list[int]) -> list[list[int]]:
    return [list(each) for each in itertools.permutations(items)]


@known(
    lambda rng: [word(rng, 9, "abcd"), word(rng, 9, "efga")],
    lambda rng: [word(rng, rng.randint(0, 5), "abc"), word(rng, rng.randint(0, 5), "abc")],
)
def longest_common_subsequence(first: str, second: str) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        diagonal = 0
        for j, b in enumerate(second, 1):
            diagonal, row[j] = row[j], diagonal + 1 if a == b else max(row[j], row[j - 1])
    return row[-1]


def _nested(rng: random.Random, depth: int, width: int) -> list[Any]:
    return [
        _nested(rng, depth - 1, width) if depth and rng.random() < 0.5 else rng.randint(-9, 9)
        for _ in range(width)
    ]


@known(lambda rng: [_nested(rng, 10, 5)], lambda rng: [_nested(rng, rng.randint(0, 2), rng.randint(0, 3))])
def sum_nested(data: list[Any]) -> int:
    return sum(map(int, re.findall(r"-?\d+", str(data))))


# --- simulation ------------------------------------------------------------------------------------------


@known(
    lambda rng: [grid(rng, 24, 24, 0, 1), 14],
    lambda rng: [grid(rng, rng.randint(1, 4), rng.randint(1, 4), 0, 1), rng.randint(0, 3)],
)
def game_of_life(cells: list[list[int]], generations: int) -> list[list[int]]:
    height, width = len(cells), len(cells[0])
    alive = {(r, c) for r in range(height) for c in range(width) if cells[r][c]}
    around = [step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0)]
    for _ in range(generations):
        counts = Counter((r + dr, c + dc) for r, c in alive for dr, dc in around)
        alive = {
            (r, c)
            for (r, c), count in counts.items()
            if 0 <= r < height and 0 <= c < width and (count == 3 or (count == 2 and (r, c) in alive))
        }
    return [[int((r, c) in alive) for c in range(width)] for r in range(height)]


@known(lambda rng: [6000, rng.randint(4, 7)], lambda rng: [rng.randint(1, 9), rng.randint(1, 4)])
def josephus(people: int, step: int) -> int:
    last = 0
    for size in range(2, people + 1):
        last = (last + step) % size
    return last


@known(
    lambda rng: [sorted(ints(rng, 400, 0, 4000)), ints(rng, 400, 1, 20)],
    lambda rng: [sorted(found := few(rng, 0, 9)), ints(rng, len(found), 0, 5)],
)
def waiting_times(arrivals: list[int], durations: list[int]) -> list[int]:
    found, free = [], 0
    for arrival, duration in zip(arrivals, durations, strict=True):
        found.append(max(0, free - arrival))
        free = max(free, arrival) + duration
    return found


@known(lambda rng: [rng.randint(3000, 3100)], lambda rng: [rng.randint(0, 40)])
def langtons_ant(steps: int) -> int:
    black: set[complex] = set()
    place, heading = 0j, 1j
    for _ in range(steps):
        heading *= 1j if place in black else -1j
        black ^= {place}
        place += heading
    return len(black)


@known(
    lambda rng: [rng.randint(100, 999), rng.randint(1, 3), 12000],
    lambda rng: [rng.randint(0, 500), rng.randint(0, 9), rng.randint(0, 5)],
)
def compound_interest(amount: int, rate: int, years: int) -> list[float]:
    def grown(balance: float, _: int) -> float:
        return balance + balance * rate / 100

    balances = itertools.accumulate(range(years), grown, initial=float(amount))
    return [round(balance, 2) for balance in itertools.islice(balances, 1, None)]


@known(
    lambda rng: [rng.randint(20, 30), rng.randint(20, 30), 25000],
    lambda rng: [rng.randint(2, 5), rng.randint(2, 5), rng.randint(1, 20)],
)
def bounce(width: int, height: int, steps: int) -> int:
    def fold(step: int, size: int) -> int:
        rest = step % (2 * (size - 1))
        return min(rest, 2 * (size - 1) - rest)

    places = Counter((fold(step, width), fold(step, height)) for step in range(1, steps + 1))
    return max(places.values())


# --- statistics ------------------------------------------------------------------------------------------


@known(lambda rng: [ints(rng, 700, 0, 200)], lambda rng: [few(rng, 0, 3, least=1)])
def mode(numbers: list[int]) -> int:
    return statistics.multimode(numbers)[0]


@known(lambda rng: [ints(rng, 1000)], lambda rng: [few(rng, least=1)])
def variance(numbers: list[int]) -> float:
    mean = math.fsum(numbers) / len(numbers)
    return round(math.fsum((number - mean) ** 2 for number in numbers) / len(numbers), 4)


@known(lambda rng: [ints(rng, 5000, 0, 999), 20], lambda rng: [few(rng, 0, 9, least=1), rng.randint(1, 4)])
def histogram(numbers: list[int], width: int) -> list[int]:
    counts = [0] * (max(numbers) // width + 1)
    for number in numbers:
        counts[number // width] += 1
    return counts


@known(lambda rng: [ints(rng, 500)], lambda rng: [few(rng)])
def ranks(scores: list[int]) -> list[int]:
    counts = Counter(scores)
    better, place = {}, 1
    for score in sorted(counts, reverse=True):
        better[score] = place
        place += counts[score]
    return [better[score] for score in scores]


@known(lambda rng: [ints(rng, 3000), 50], lambda rng: [few(rng), rng.randint(1, 4)])
def moving_average(numbers: list[int], width: int) -> list[float]:
    totals = [0, *itertools.accumulate(numbers)]
    return [round((b - a) / width, 4) for a, b in zip(totals, totals[width:], strict=False)]


@known(
    lambda rng: [[ints(rng, 61) for _ in range(50)]],
    lambda rng: [[few(rng, least=1) for _ in range(rng.randint(0, 3))]],
)
def median_of_each(rows: list[list[int]]) -> list[float]:
    return [statistics.median(row) for row in rows]


@known(
    lambda rng: [[ints(rng, 2) for _ in range(270)]],
    lambda rng: [[ints(rng, 2, 0, 4) for _ in range(rng.randint(0, 5))]],
)
def closest_pair_distance(points: list[list[int]]) -> int:
    pairs = itertools.combinations(points, 2)
    return min(((a - c) ** 2 + (b - d) ** 2 for (a, b), (c, d) in pairs), default=-1)


@known(lambda rng: [ints(rng, 1500)], lambda rng: [few(rng)])
def above_average(numbers: list[int]) -> list[int]:
    if not numbers:
        return []
    mean = statistics.fmean(numbers)
    return [number for number in numbers if number > mean]


# --- games -----------------------------------------------------------------------------------------------

_POINTS = {"aeioulnstr": 1, "dg": 2, "bcmp": 3, "fhvwy": 4, "k": 5, "jx": 8, "qz": 10}


@known(
    lambda rng: [[word(rng, 8, string.ascii_letters) for _ in range(3000)]],
    lambda rng: [[word(rng, rng.randint(0, 4), "aQkÄ-x") for _ in range(rng.randint(0, 4))]],
)
def scrabble_scores(all_words: list[str]) -> list[int]:
    points = {letter: score for letters, score in _POINTS.items() for letter in letters}
    return [sum(points.get(letter, 0) for letter in each.lower()) for each in all_words]


@known(lambda rng: [8, 0, []], lambda rng: [rng.randint(0, 5), 0, []])
def count_queens(size: int, row: int, columns: list[int]) -> int:
    orders = itertools.permutations(range(size))
    return sum(
        len({c + i for i, c in enumerate(order)}) == size == len({c - i for i, c in enumerate(order)})
        for order in orders
    )


def _field(rng: random.Random, rows: int, columns: int) -> list[str]:
    return [word(rng, columns, "....*") for _ in range(rows)]


@known(lambda rng: [_field(rng, 100, 80)], lambda rng: [_field(rng, rng.randint(0, 3), rng.randint(1, 3))])
def mines_around(field: list[str]) -> list[str]:
    mines = {(r, c) for r, line in enumerate(field) for c, mark in enumerate(line) if mark == "*"}
    counts = Counter((r + dr, c + dc) for r, c in mines for dr in (-1, 0, 1) for dc in (-1, 0, 1))
    return [
        "".join("*" if (r, c) in mines else str(counts[r, c]) for c in range(len(line)))
        for r, line in enumerate(field)
    ]


def _sudoku(rng: random.Random) -> list[list[int]]:
    digits = rng.sample(range(1, 10), 9)
    board = [[digits[(3 * r + r // 3 + c) % 9] for c in range(9)] for r in range(9)]
    for _ in range(20):
        board[rng.randrange(9)][rng.randrange(9)] = 0
    if rng.random() < 0.4:
        board[rng.randrange(9)][rng.randrange(9)] = rng.randint(1, 9)
    return board


@known(lambda rng: [[_sudoku(rng) for _ in range(250)]], lambda rng: [[_sudoku(rng) for _ in range(3)]])
def valid_sudokus(boards: list[list[list[int]]]) -> list[bool]:
    return [_valid(board) for board in boards]


def _valid(board: list[list[int]]) -> bool:
    seen = [
        place
        for r in range(9)
        for c in range(9)
        if (digit := board[r][c])
        for place in (("row", r, digit), ("column", c, digit), ("box", r // 3, c // 3, digit))
    ]
    return len(seen) == len(set(seen))


@known(
    lambda rng: [[word(rng, 5, string.digits) for _ in range(7000)], word(rng, 5, string.digits)],
    lambda rng: [[word(rng, 3, "123") for _ in range(rng.randint(0, 4))], word(rng, 3, "123")],
)
def bulls_and_cows(secrets: list[str], guess: str) -> list[list[int]]:
    found = []
    for secret in secrets:
        same = [a == b for a, b in zip(guess, secret, strict=True)]
        found.append([sum(same), sum(a in set(secret) for a in guess) - sum(same)])
    return found


@known(lambda rng: [rng.randint(32, 35)], lambda rng: [rng.randint(0, 15)])
def first_player_wins(stones: int) -> bool:
    return stones % 7 not in (0, 2)


@known(
    lambda rng: [[word(rng, 6, "abc") for _ in range(12000)], word(rng, 6, "abc")],
    lambda rng: [words(rng, rng.randint(0, 5), 3), word(rng, rng.randint(1, 3))],
)
def word_neighbours(all_words: list[str], start: str) -> list[str]:
    patterns = [start[:i] + "\0" + start[i + 1 :] for i in range(len(start))]
    shape = re.compile(
        "|".join(re.escape(each).replace("\x00", ".") for each in patterns) or r"(?!)", re.DOTALL
    )
    return [each for each in all_words if each != start and shape.fullmatch(each)]


@known(lambda rng: [6, rng.randint(15, 24)], lambda rng: [rng.randint(0, 3), rng.randint(-1, 19)])
def dice_ways(dice: int, total: int) -> int:
    ways = Counter({0: 1})
    for _ in range(dice):
        ways = Counter(
            {reached: sum(ways[reached - face] for face in range(1, 7)) for reached in range(max(ways) + 7)}
        )
    return ways[total]
