"""benchmarks/remembering/imported.py: the figures of a foreign log, on a made-up one and on rows by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from remembering.imported import figures, keep_rates, made_up, repeats

from optiloop.foreign import experiments_of, read_results

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"


def logged(*descriptions: str) -> list[tuple[int, int]]:
    rows = [f"a{n:06x}\t1.0\t1.0\tkeep\t{said}\n" for n, said in enumerate(("baseline", *descriptions))]
    return [one[:2] for one in repeats(experiments_of(read_results(HEADER + "".join(rows)), "log"))]


def test_the_made_up_log_has_the_shape_of_the_public_one(tmp_path: Path) -> None:
    said = list(figures(None, short=True))
    assert said[0] == "results.tsv: results-tsv, 126 experiments: 23 keep, 102 discard, 1 crash"
    assert said[2].startswith("keep rate by quarter: 4")
    assert said[-1] == "planted 18: 18 found, 0 others"
    (tmp_path / "r.tsv").write_text(made_up(3)[0])
    assert not list(figures(tmp_path / "r.tsv", short=False))[-1].startswith("planted")
    assert [file.name for file in tmp_path.iterdir()] == ["r.tsv"]


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        ("LR=0.06 (worse than 0.04)", "LR=0.060 (still worse)", True),
        ("LR 0.04 -> 0.06", "raise LR to 0.06", True),
        ("LR=0.06 (worse than 0.05)", "LR=0.05", False),
        ("LR=0.06", "DEPTH=0.06", False),
        ("Adam beta2=0.99", "Muon beta2=0.99", False),
        ("Adam beta2=0.99", "Adam beta2=0.99 for embeddings", False),
        ("LR=0.06", "LR=0.06 DEPTH=9", False),
        ("use SwiGLU", "Use SwiGLU (out of memory)", True),
        ("use SwiGLU", "use GEGLU", False),
    ],
)
def test_what_counts_as_the_same_idea(first: str, second: str, again: bool) -> None:
    assert logged(first, second) == ([(3, 2)] if again else [])


def test_keeps_by_quarter() -> None:
    rows = "".join(f"a\t1\t1\t{'keep' if n < 3 else 'discard'}\tx\n" for n in range(8))
    assert keep_rates(experiments_of(read_results(HEADER + rows), "log")) == [1.0, 0.5, 0.0, 0.0]
