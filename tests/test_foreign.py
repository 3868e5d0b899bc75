"""Foreign logs, each format both ways: what is certain is read, what is not is an error with its line."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report import KEEP, SMALL, campaign, measured, one_pair

from optiloop.errors import UsageError
from optiloop.foreign import (
    ForeignLog,
    experiments_of,
    format_of,
    pi_log,
    read,
    read_results,
    results_tsv,
    stand_alone,
)
from optiloop.foreign.log import BASELINE
from optiloop.model import Compare, Direction, Rule, Status
from optiloop.report import Campaign, html, status, words

UPSTREAM = """\
commit\tval_bpb\tmemory_gb\tstatus\tdescription
a1b2c3d\t0.997900\t44.0\tkeep\tbaseline
b2c3d4e\t0.993200\t44.2\tkeep\tincrease LR to 0.04
c3d4e5f\t1.005000\t44.0\tdiscard\tswitch to GeLU activation
d4e5f6a\t0.000000\t0.0\tcrash\tdouble model width (OOM)
"""
HEADER = UPSTREAM.partition("\n")[0] + "\n"


def of(log: ForeignLog) -> Campaign:
    return stand_alone(experiments_of(log, "a log"), "a log")


# --- results.tsv: reading ----------------------------------------------------------------------------


def test_baseline_champion_and_failures_are_read() -> None:
    found = of(read_results(UPSTREAM))
    assert [one.status for one in found.experiments] == [
        Status.KEEP,
        Status.KEEP,
        Status.DISCARD,
        Status.CRASH,
    ]
    assert (found.baseline_value, found.champion_value) == (0.9979, 0.9932)
    assert found.experiments[1].effect == pytest.approx(0.9979 / 0.9932)
    assert found.experiments[0].effect is None
    assert BASELINE in found.experiments[0].tags
    assert found.secondary_of(found.experiments[1], "memory_gb") == 44.2


def test_a_crash_has_no_number_although_upstream_writes_zero() -> None:
    crash = of(read_results(UPSTREAM)).experiments[-1]
    assert crash.measurement is None
    assert crash.effect is None
    assert crash.tags == ("commit=d4e5f6a",)


def test_no_claim_is_made_from_single_runs() -> None:
    found = of(read_results(UPSTREAM))
    assert not found.verified
    unknown = {"ratio": None, "low": None, "high": None, "verified": False, "difference": None}
    assert status(found)["improvement"] == unknown
    assert "increase LR to 0.04" in html(found)


def test_direction_follows_the_kept_values() -> None:
    rising = UPSTREAM.replace("0.993200", "1.200000")
    assert read_results(UPSTREAM).direction is Direction.MINIMIZE
    assert read_results(rising).direction is Direction.MAXIMIZE
    alone = read_results("".join(UPSTREAM.splitlines(keepends=True)[:2]))
    assert (alone.direction, alone.known_by) == (
        Direction.MINIMIZE,
        "a guess: the kept values neither rise nor fall",
    )


@pytest.mark.parametrize(
    "text",
    [
        UPSTREAM.replace("\n", "\r\n"),
        "\ufeff" + UPSTREAM,
        UPSTREAM.removesuffix("\n"),
        UPSTREAM.replace("\tkeep\t", "\tKept\t").replace("\tdiscard\t", "\tREVERTED\t"),
        UPSTREAM.replace("0.000000\t0.0", "-\tN/A"),
        UPSTREAM.replace("0.000000\t0.0", "nan\t"),
        UPSTREAM.replace("\n", "\n\n"),
        UPSTREAM.replace("status\tdescription", "decision\tidea").replace("commit\t", "hash\t", 1),
    ],
)
def test_spelling_does_not_matter(text: str) -> None:
    assert [replace(row, line=0) for row in read(text, "results-tsv").rows] == [
        replace(row, line=0) for row in read_results(UPSTREAM).rows
    ]


def test_other_columns_and_places() -> None:
    text = (
        "run\ttimestamp\tcommit\tfps\tp99_ms\tstatus\tdescription\tagent\n"
        "1\t2026-03-08T10:00:00Z\ta1b2c3d\t60\t9.5\tkeep\tbaseline\talpha\n"
        "2\t\tb2c3d4e\t75\t8\tkeep\tbatch draws\tbeta\n"
    )
    log = read_results(text)
    assert (log.metric, log.direction) == ("fps", Direction.MAXIMIZE)
    first, second = log.rows
    assert first.time == "2026-03-08T10:00:00Z"
    assert second.numbers == {"run": 2, "p99_ms": 8}
    assert second.tags == ("agent=beta",)


def test_without_a_memory_column() -> None:
    text = "commit\tval_rmse\tstatus\tdescription\na1b2c3d\t343.88\tkeep\tbaseline\n"
    assert read_results(text).rows[0].value == 343.88


def test_a_tab_in_the_description_is_part_of_it() -> None:
    row = read_results(UPSTREAM + "e5f6a7b\t0.99\t44.0\tdiscard\ta\tb\n").rows[-1]
    assert row.description == "a\tb"


def test_a_torn_last_line_is_left_out_and_named() -> None:
    log = read_results(UPSTREAM + "e5f6a7b\t0.9")
    assert (len(log.rows), log.left_out) == (4, ("line 6: cut short, its writer was stopped",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: not a results.tsv"),
        ("a\tb\n", "line 1: not a results.tsv"),
        (HEADER + "a\t1\t2\tmaybe\tx\n", "line 2: unknown status 'maybe'; use keep, discard or crash"),
        (HEADER + "a\tfast\t2\tkeep\tx\n", "line 2: 'fast' is not a number"),
        (HEADER + "a\tnan\t2\tkeep\tx\n", "line 2: 'nan' is not a finite number"),
        (HEADER + "\na\t1\n\n", "line 3: 2 columns, not 5"),
        (HEADER + "a\t1\n", "line 2: 2 columns, not 5"),
        (
            HEADER.replace("description", "description\tagent") + "a\t1\t2\tkeep\tx\ty\tz\n",
            "line 2: 7 columns",
        ),
    ],
)
def test_a_broken_results_file_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        read_results(text)


def test_a_file_without_a_kept_number_is_refused() -> None:
    with pytest.raises(UsageError, match="no kept row"):
        of(read_results(UPSTREAM.replace("keep", "discard")))


def test_a_metric_of_zero_and_below_is_compared_by_difference() -> None:
    found = of(read_results(HEADER + "a\t-1\t\tkeep\tbaseline\nb\t-3\t\tkeep\tx\nc\t0\t\tdiscard\ty\n"))
    assert found.metric.compare is Compare.DIFFERENCE
    assert [one.effect for one in found.experiments] == [None, 2.0, -3.0]


# --- results.tsv: writing ----------------------------------------------------------------------------


def test_upstream_s_own_form_comes_back_byte_by_byte() -> None:
    assert results_tsv(of(read_results(UPSTREAM))) == UPSTREAM


def test_what_gave_no_number_is_a_crash_that_says_why() -> None:
    text = results_tsv(SMALL)
    baseline, kept, discarded, *rest = read_results(text).rows
    assert (baseline.commit, baseline.value, baseline.description) == ("bbbbbbb", 1000.0, "baseline")
    assert (kept.commit, kept.value, kept.numbers) == ("ccccccc", 500.0, {"memory_gb": 0.5})
    assert (discarded.status, discarded.value) == (Status.DISCARD, 505.0)
    assert text.splitlines()[7].split("\t") == [
        "",
        "0.000000",
        "0.0",
        "crash",
        "[violation] Edit the benchmark",
    ]
    assert [(row.status, row.value) for row in rest] == [
        (Status.DUPLICATE, None),
        (Status.GATE_FAILED, None),
        (Status.CRASH, None),
        (Status.VIOLATION, None),
        (Status.NO_PROPOSAL, None),
    ]


def test_memory_comes_from_the_secondary_metrics_as_well() -> None:
    measurement = replace(measured(1000, 500), secondary={"memory_gb": (1.0, 2.5)})
    row = read_results(results_tsv(campaign(replace(KEEP, measurement=measurement)))).rows[1]
    assert row.numbers == {"memory_gb": 2.5}


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=30))
def test_a_row_comes_back_as_it_was_written(value: float, hypothesis: str) -> None:
    written = campaign(replace(KEEP, measurement=one_pair(value), hypothesis=hypothesis), baseline=None)
    (row,) = read_results(results_tsv(written)).rows
    assert (row.commit, row.value, row.status) == ("ccccccc", value, Status.KEEP)
    assert row.description == words.one_line(hypothesis)


# --- pi-autoresearch ---------------------------------------------------------------------------------

CONFIG = {
    "type": "config",
    "name": "faster sort",
    "metricName": "total_ms",
    "metricUnit": "ms",
    "bestDirection": "lower",
}


def run(
    number: int, metric: float | None, status: str, description: str, **more: object
) -> dict[str, object]:
    return {
        "run": number,
        "commit": f"{number:07x}",
        "metric": metric,
        "metrics": {},
        "status": status,
        "description": description,
        "timestamp": 1772964000000 + number,
        "segment": 0,
        **more,
    }


def lines(*found: dict[str, object]) -> str:
    return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in found)


FIRST = lines(
    CONFIG,
    run(1, 40.5, "keep", "baseline", metrics={"parse_ms": 30}),
    run(2, 33.25, "keep", "insertion sort for short runs", metrics={"parse_ms": 24.5}),
    run(3, 0, "crash", "radix"),
)
SECOND = lines(
    CONFIG,
    run(1, 40.5, "keep", "baseline", confidence=None),
    {"type": "hook", "stage": "before", "exit": 0},
    run(2, 33.25, "keep", "short runs", confidence=2.5, asi={"hypothesis": "true", "next": ["a", 1]}),
    run(3, 30.0, "checks_failed", "skip a check", confidence=2.5, asi={"revisits_run": 2}),
    run(4, 0, "checks_failed", "no number", confidence=2.5),
)


def test_the_first_generation_of_pi() -> None:
    log = read(FIRST, "pi")
    assert (log.metric, log.unit, log.goal, log.known_by) == (
        "total_ms",
        "ms",
        "faster sort",
        "its config says lower",
    )
    found = of(log)
    assert (found.baseline_value, found.champion_value, found.metric.unit) == (40.5, 33.25, "ms")
    assert found.experiments[0].time == "2026-03-08T10:00:00.001Z"
    assert found.secondary_of(found.experiments[1], "parse_ms") == 24.5
    assert found.experiments[2].measurement is None


def test_the_second_generation_of_pi() -> None:
    log = read(SECOND, "pi")
    assert log.left_out == ("1 lines of type hook",)
    found = of(log)
    assert [one.status for one in found.experiments[2:]] == [Status.GATE_FAILED] * 2
    assert [found.value_of(one) for one in found.experiments[2:]] == [30.0, None]
    assert 'asi.hypothesis="true"' in found.experiments[1].tags
    assert "confidence=2.5" in found.experiments[1].tags


def test_pi_comes_back() -> None:
    again = pi_log(of(read(SECOND, "pi")))
    kept = [line for line in SECOND.splitlines() if '"hook"' not in line]
    assert list(map(json.loads, again.splitlines())) == [
        {"confidence": None, **json.loads(line)} if '"run"' in line else json.loads(line) for line in kept
    ]
    assert pi_log(of(read(again, "pi"))) == again


def test_our_statuses_come_back_from_pi() -> None:
    found = of(read(pi_log(SMALL), "pi"))
    assert [one.status for one in found.experiments[1:]] == [one.status for one in SMALL.experiments]


def test_a_segment_is_a_campaign_of_its_own() -> None:
    text = FIRST + lines(
        {**CONFIG, "metricName": "bytes", "bestDirection": "higher"}, run(4, 9, "keep", "anew")
    )
    last, first = read(text, "pi"), read(text, "pi", 0)
    assert (last.metric, last.direction, len(last.rows)) == ("bytes", Direction.MAXIMIZE, 1)
    assert last.left_out == ("segment 0: 3 runs",)
    assert (first.metric, len(first.rows), first.left_out) == ("total_ms", 3, ("segment 1: 1 runs",))
    with pytest.raises(UsageError, match="--segment 2: there are segments 0 to 1"):
        read(text, "pi", 2)


def test_without_a_config_pi_s_defaults_hold() -> None:
    log = read(FIRST.partition("\n")[2], "pi")
    assert (log.metric, log.direction, log.known_by) == (
        "metric",
        Direction.MINIMIZE,
        "pi-autoresearch's default",
    )


def test_seconds_and_milliseconds() -> None:
    text = FIRST.replace("1772964000001", "1772964000")
    assert read(text, "pi").rows[0].time == "2026-03-08T10:00:00.000Z"


def test_a_torn_last_line_of_pi_is_left_out() -> None:
    assert read(FIRST[:-20], "pi").left_out == ("line 4: cut short, its writer was stopped",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"metric": 1, "status": "kept"}', "line 5: unknown status 'kept'"),
        ('{"metric": 1}', "line 5: unknown status ''"),
        ('{"metric": NaN, "status": "keep"}', "line 5: not JSON: NaN is no number"),
        ('{"metric": "1", "status": "keep"}', "line 5: metric is not a number: '1'"),
        ('{"metric": 1, "status": "keep", "metrics": [1]}', "line 5: metrics is not an object: [1]"),
        ('{"metric": 1, "status": "keep", "metrics": {"a": true}}', "line 5: a is not a number: True"),
        ('{"metric": 1, "status": 4}', "line 5: status is no text: 4"),
        ('{"metric": 1, "status": "keep", "timestamp": 1e30}', "line 5: 1e+30 is no time"),
        (
            '{"type": "config", "bestDirection": "down"}',
            "line 5: bestDirection is lower or higher, not 'down'",
        ),
        ("[1]", "line 5: not a JSON object"),
        ("{", "line 5: not JSON"),
    ],
)
def test_a_broken_line_of_pi_is_named(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        read(f"{FIRST}{line}\n", "pi")


# --- MemoryLab ---------------------------------------------------------------------------------------

LEDGER = lines(
    {
        "run_id": "20260311T040000Z-aaa1111",
        "timestamp_utc": "2026-03-11T04:00:00Z",
        "branch": "autoresearch/test",
        "commit": "aaa1111",
        "parent_commit": "base000",
        "family": "baseline",
        "status": "keep",
        "description": "baseline",
        "hypothesis": "",
        "tags": ["baseline run"],
        "notes": "",
        "metrics": {"val_bpb": 0.999, "peak_vram_mb": 4096.0, "device": "H100"},
        "error": None,
        "artifacts": {},
        "novelty_guard": {"classification": "novel", "counts": {}, "top_matches": []},
        "decision_packet": {"next_action": "promote", "priority": "high"},
    },
    {
        "run_id": "r2",
        "timestamp_utc": "2026-03-11T05:00:00+01:00",
        "commit": "bbb2222",
        "family": "width",
        "status": "crash",
        "description": "double the width",
        "tags": [],
        "metrics": {"val_bpb": None, "peak_vram_mb": None},
        "error": {"summary": "RuntimeError: out of memory", "tail": [], "source": "run.log"},
    },
)


def test_memorylab() -> None:
    log = read(LEDGER, "memorylab")
    assert log.left_out == (
        "what MemoryLab computed from other records (comparison, counts, tail, top_matches)",
    )
    keep, crash = of(log).experiments
    assert (keep.family, keep.time, keep.commit) == ("baseline", "2026-03-11T04:00:00.000Z", "aaa1111")
    assert {
        "baseline run",
        "novelty_guard.classification=novel",
        "decision_packet.next_action=promote",
    } <= set(keep.tags)
    assert "metric.device=H100" in keep.tags
    assert of(log).secondary_of(keep, "peak_vram_mb") == 4096.0
    assert (crash.status, crash.reason, crash.measurement) == (
        Status.CRASH,
        "RuntimeError: out of memory",
        None,
    )
    assert crash.time == "2026-03-11T04:00:00.000Z"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "kept"}, "line 3: unknown status 'kept'"),
        ({"timestamp_utc": "noon"}, "line 3: timestamp_utc is no time: 'noon'"),
        ({"tags": "a,b"}, "line 3: tags is no list of texts: 'a,b'"),
        ({"metrics": {"val_bpb": [1]}}, "line 3: val_bpb is not a number: [1]"),
    ],
)
def test_a_broken_record_of_memorylab_is_named(change: dict[str, object], message: str) -> None:
    record = json.loads(LEDGER.splitlines()[0]) | change
    with pytest.raises(UsageError, match=re.escape(message)):
        read(LEDGER + lines(record), "memorylab")


# --- which format, and logs that lie alone -----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (UPSTREAM, "results-tsv"),
        ("\ufeff\n" + FIRST, "pi"),
        (FIRST.partition("\n")[2], "pi"),
        (LEDGER, "memorylab"),
        ('{"v":1,"diff":"","previous":""}', "optiloop"),
    ],
)
def test_the_format_is_told_by_the_first_line(text: str, form: str) -> None:
    assert format_of(text) == form


def test_an_unknown_format_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="line 1: no log that is known"):
        format_of('{"loss": 1}')


def test_a_log_without_the_tags_is_understood_by_its_effects() -> None:
    found = stand_alone(SMALL.experiments, "copied")
    assert (found.metric.name, found.metric.direction) == ("combined_us", Direction.MINIMIZE)
    assert found.baseline is not None
    assert (found.baseline.value, found.baseline.commit) == (1000.0, "b" * 40)
    better_is_more = replace(KEEP, measurement=measured(500.0, 1000.0), effect=2.0)
    assert stand_alone([better_is_more], "copied").metric.direction is Direction.MAXIMIZE


def test_a_log_of_differences_is_understood_too() -> None:
    found = of(read_results(HEADER + "a\t-1\t\tkeep\tbaseline\nb\t3\t\tkeep\tx\n"))
    untagged = [replace(one, tags=()) for one in found.experiments]
    again = stand_alone(untagged, "copied")
    assert (again.metric.direction, again.metric.compare) == (Direction.MAXIMIZE, Compare.DIFFERENCE)
    assert isinstance(untagged[1].measurement and untagged[1].measurement.rule, Rule)
