"""A results.tsv of the autoresearch family is reported like a campaign of our own."""

from pathlib import Path

import pytest

from optiloop.cli import cli
from optiloop.errors import UsageError
from optiloop.model import Direction, Status
from optiloop.report import campaign_from_tsv, html, status, tsv

UPSTREAM = """\
commit\tval_bpb\tmemory_gb\tstatus\tdescription
a1b2c3d\t0.997900\t44.0\tkeep\tbaseline
b2c3d4e\t0.993200\t44.2\tkeep\tincrease LR to 0.04
c3d4e5f\t1.005000\t44.0\tdiscard\tswitch to GeLU activation
d4e5f6g\t0.000000\t0.0\tcrash\tdouble model width (OOM)
"""


def test_baseline_champion_and_failures_are_read() -> None:
    campaign = campaign_from_tsv(UPSTREAM, "results.tsv")
    said = status(campaign)
    assert said["experiments"] == 3
    assert said["baseline"] == {"value": 0.9979}
    assert campaign.champion_value == 0.9932
    assert [experiment.status for experiment in campaign.experiments] == [
        Status.KEEP,
        Status.DISCARD,
        Status.CRASH,
    ]


def test_a_crash_has_no_number_although_upstream_writes_zero() -> None:
    crash = campaign_from_tsv(UPSTREAM, "results.tsv").experiments[-1]
    assert crash.measurement is None
    assert crash.effect is None


def test_no_claim_is_made_from_single_runs() -> None:
    campaign = campaign_from_tsv(UPSTREAM, "results.tsv")
    assert not campaign.verified
    unknown = {"ratio": None, "low": None, "high": None, "verified": False, "difference": None}
    assert status(campaign)["improvement"] == unknown


def test_direction_follows_the_kept_values() -> None:
    rising = UPSTREAM.replace("0.993200", "1.200000")
    assert campaign_from_tsv(UPSTREAM, "r.tsv").metric.direction is Direction.MINIMIZE
    assert campaign_from_tsv(rising, "r.tsv").metric.direction is Direction.MAXIMIZE


def test_written_again_it_is_the_same_table() -> None:
    once = tsv(campaign_from_tsv(UPSTREAM, "results.tsv"))
    assert tsv(campaign_from_tsv(once, "results.tsv")) == once


def test_it_renders() -> None:
    assert "increase LR to 0.04" in html(campaign_from_tsv(UPSTREAM, "results.tsv"))


def test_a_file_without_a_kept_number_is_refused() -> None:
    with pytest.raises(UsageError, match="no kept row"):
        campaign_from_tsv(UPSTREAM.replace("keep", "discard"), "results.tsv")


def test_the_command_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.tsv"
    file.write_text(UPSTREAM)
    cli.main(["report", str(file), "--format", "md"], standalone_mode=False)
    assert "double model width" in capsys.readouterr().out


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "results.tsv"
    file.write_text(UPSTREAM + "e5f6a7b\t0.9\t44.0\tmaybe\twho knows\n")
    with pytest.raises(UsageError, match=r"results\.tsv: line 6: unknown status 'maybe'"):
        cli.main(["report", str(file)], standalone_mode=False)
