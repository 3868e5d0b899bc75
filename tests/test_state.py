"""The small files beside the log can be measured again: whatever is wrong with one, it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optiloop.errors import WorkspaceError
from optiloop.model import Baseline, Claim, Interval
from optiloop.state import Calibration, State

CALIBRATION = Calibration(Baseline("c", 1.5, (0.1, -0.2), 0.3, 0.01), {"parse": 0.5}, "digest")
CLAIM = Claim("c", "2026-01-01T00:00:00.000Z", 20, 2.0, 1.0, 2.0, Interval(1.9, 2.1))


def test_what_is_saved_is_there(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.calibration() is None
    assert state.claim() is None
    state.save_calibration(CALIBRATION)
    state.save_claim(CLAIM)
    assert State(tmp_path).calibration() == CALIBRATION
    assert State(tmp_path).claim() == CLAIM


def test_a_claim_without_a_ratio(tmp_path: Path) -> None:
    claim = Claim("c", "t", 1, -1.0, -2.0, None, None)
    State(tmp_path).save_claim(claim)
    assert State(tmp_path).claim() == claim


SPOILT = {
    "empty": "",
    "torn": '{"commit": "c"',
    "a list": "[]",
    "no JSON": "hello",
    "no UTF-8": b"\xff",
    "a key is missing": "{}",
    "numbers that are none": json.dumps({"nulls": 3, "numbers": 3, "interval": 3}),
    "an interval the wrong way round": json.dumps({"interval": {"low": 2, "high": 1}}),
    "an interval without an end": json.dumps({"interval": {"low": None, "high": 1}}),
}


@pytest.mark.parametrize("content", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_not_there(tmp_path: Path, content: str | bytes) -> None:
    for name in ("baseline.json", "claim.json"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert State(tmp_path).calibration() is None
    assert State(tmp_path).claim() is None
    State(tmp_path).save_claim(CLAIM)
    assert State(tmp_path).claim() == CLAIM


def test_a_folder_in_its_place_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "claim.json").mkdir()
    assert State(tmp_path).claim() is None


def test_what_cannot_be_saved_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="run again") as told:
        State(tmp_path / "gone").save_claim(CLAIM)
    assert "\n" not in str(told.value)
