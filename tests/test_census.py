"""The summaries of test runners, as they print them, and a gate that demands its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from optiloop.census import tests_passed as passed
from optiloop.errors import TargetError
from optiloop.loop import Engine
from optiloop.model import Experiment, Status
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer

SUMMARIES = {
    "51 passed in 0.63s\n": 51,
    "=========== 51 passed, 2 warnings in 62.10s (0:01:02) ===========\n": 51,
    "=== 1 failed, 49 passed, 1 skipped in 0.12s ===": 49,
    "\x1b[32m\x1b[1m3 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m": 3,
    "2 skipped in 0.01s": None,
    "no tests ran in 0.01s": None,
    "3 passed quickly": None,
    "....\n----\nRan 4 tests in 0.001s\n\nOK\n": 4,
    "Ran 4 tests in 0.001s\n\nOK (skipped=1, expected failures=1)\n": 2,
    "Ran 4 tests in 0.001s\n\nFAILED (failures=1)\n": None,
    "Ran 0 tests in 0.000s\n\nOK\n": None,
    "Test Suites: 2 passed, 2 total\nTests:       1 skipped, 7 passed, 8 total\n": 7,
    " Test Files  1 passed (1)\n      Tests  7 passed (7)\n": 7,
    "# tests 5\n# pass 5\n# fail 0\n": 5,
    "ℹ tests 5\nℹ pass 4\n": 4,
    "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: ok. 2 passed; 0 failed;\n": 5,
    "100% tests passed, 0 tests failed out of 9\n": 9,
    "=== RUN TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/b (0.00s)\nPASS\nok x 0.1s\n": 2,
    "": None,
    "it passed all tests": None,
}


@pytest.mark.parametrize(("output", "count"), SUMMARIES.items())
def test_a_summary(output: str, count: int | None) -> None:
    assert passed(output) == count


TOML = """
name = "counted"
editable = ["program.py"]
[[gate]]
name = "tests"
command = "python -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider test_program.py"
{tests}
[metric]
name = "score"
command = "python -c 'import program; print(\\"METRIC score=\\" + str(program.SCORE))'"
noise = "deterministic"
min_effect = 0
"""
TESTS = "import program\n" + "".join(
    f"\ndef test_{name}():\n    assert program.right()\n" for name in ("first", "second")
)
HONEST = "SCORE = {score}\n\ndef right():\n    return True\n"


def one(folder: Path, candidate: str, tests: str = "") -> Experiment:
    """What becomes of a candidate of a target with two tests."""
    folder.mkdir()
    (folder / "target.toml").write_text(TOML.format(tests=tests))
    (folder / "test_program.py").write_text(TESTS)
    (folder / "program.py").write_text(HONEST.format(score=9))
    with Engine.opened(load_target(folder), ScriptedProposer(candidate)) as engine:
        engine.prepare()
        found = engine.cycle()
    assert found is not None
    return found


def test_all_tests_are_counted_in_the_log(tmp_path: Path) -> None:
    found = one(tmp_path / "t", HONEST.format(score=8))
    assert (found.status, found.gates[0].tests) == (Status.KEEP, 2)


IN_PYTEST = "SCORE = 8\nimport sys\nif 'pytest' in sys.modules:\n"
FEWER = {
    "leaves with exit code 0": (IN_PYTEST + "    import os\n    os._exit(0)\n", "no tests passed, 2 must"),
    "leaves while a test runs": (
        "SCORE = 8\nimport os\ndef right():\n    os._exit(0)\n",
        "no tests passed, 2 must",
    ),
    "skips": (
        "SCORE = 8\ndef right():\n    import pytest\n    pytest.skip('later')\n",
        "no tests passed, 2 must",
    ),
    "skips one": (
        "SCORE = 8\ncalls = []\ndef right():\n    import pytest\n    calls.append(1)\n"
        "    return len(calls) < 2 or pytest.skip('later')\n",
        "1 test passed, 2 must",
    ),
}


@pytest.mark.parametrize(("candidate", "reason"), FEWER.values(), ids=FEWER)
def test_exit_code_0_with_fewer_tests_is_a_failed_gate(tmp_path: Path, candidate: str, reason: str) -> None:
    found = one(tmp_path / "t", candidate)
    assert (found.status, found.reason) == (Status.GATE_FAILED, f"tests: {reason}")


def test_a_stated_number_of_tests_holds_for_the_baseline_too(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="baseline fails its own tests: 2 tests passed, 3 must"):
        one(tmp_path / "t", "", "tests = 3")
