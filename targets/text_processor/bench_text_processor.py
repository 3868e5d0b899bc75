"""The benchmark for people, with pytest-benchmark's tables and files; the loop does not use it.

    pytest bench_text_processor.py
    pytest bench_text_processor.py --benchmark-json out.json

Wall-clock time inside one process and the same input again and again: a cache shows here at its best.
`benchmark.py` is what counts.
"""

import random

import pytest
import text_processor
from benchmark import CASES


@pytest.mark.parametrize("case", CASES, ids=[case.function for case in CASES])
def test_speed(benchmark, case):
    arguments = case.arguments(random.Random(0))
    answer = benchmark(getattr(text_processor, case.function), *arguments)
    assert answer == case.expected(*arguments)
