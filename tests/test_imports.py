"""`optiloop import` and `export` on real files and a real repository."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from test_cli import call
from test_foreign import FIRST, HEADER, LEDGER, UPSTREAM

from optiloop.errors import LedgerError, UsageError
from optiloop.imports import campaign_of, import_log
from optiloop.ledger import Ledger
from optiloop.model import Direction, Status
from optiloop.proposers.replay import Replay
from optiloop.testing import brief_of

PROGRAM = "LR = {lr}\nDEPTH = {depth}\n\n\ndef train():\n    return LR * DEPTH\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str, **texts: str | bytes) -> str:
    """Commit files (name without its .py) at a fixed time, and return the short hash."""
    for name, text in texts.items():
        path = folder / (name if "." in name else f"{name}.py")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    git(folder, "add", "-A")
    date = "--date=2026-03-08T05:00:00+02:00"
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", date, "-m", message)
    return git(folder, "rev-parse", "--short=7", "HEAD")


@pytest.fixture
def researched(tmp_path: Path) -> Path:
    """A repository as autoresearch leaves it: keeps on a branch, a discard that no branch has, a log."""
    folder = tmp_path / "a repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "research")
    base = commit(folder, "baseline", train=PROGRAM.format(lr=1, depth=8))
    kept = commit(folder, "lr", train=PROGRAM.format(lr=2, depth=8), latin=b"\xff")
    lost = commit(folder, "depth", train=PROGRAM.format(lr=2, depth=10))
    git(folder, "reset", "-q", "--hard", "HEAD^")
    rows = (
        f"{base}\t0.99\t44.0\tkeep\tbaseline\n"
        f"{kept}\t0.98\t44.0\tkeep\tLR 1 -> 2\n"
        f"{lost}\t0.97\t44.0\tdiscard\tDEPTH 8 -> 10\n"
        f"{kept}\t1.02\t44.0\tdiscard\tnever committed\n"
        "0badbad\t0.000000\t0.0\tcrash\tgone\n"
    )
    (folder / "results.tsv").write_text(HEADER + rows)
    return folder


def test_a_log_is_written_with_its_chain(tmp_path: Path) -> None:
    source = tmp_path / "my results.tsv"
    source.write_text(UPSTREAM)
    found = import_log(source)
    assert found.output == str(tmp_path / "my results.tsv.optiloop.jsonl")
    experiments = list(Ledger(Path(found.output)).new())
    assert [one.status for one in experiments] == [one.status for one in found.experiments]
    assert len({one.previous for one in experiments}) == 4
    assert found.commits is None


@pytest.mark.parametrize(("name", "text"), [("r.tsv", UPSTREAM), ("log.jsonl", FIRST), ("e.jsonl", LEDGER)])
def test_a_log_and_its_import_are_the_same_campaign(tmp_path: Path, name: str, text: str) -> None:
    source = tmp_path / name
    source.write_text(text)
    direct, imported = campaign_of(source), campaign_of(Path(import_log(source).output))
    assert direct.metric == imported.metric
    assert direct.baseline == imported.baseline
    assert [one.tags for one in direct.experiments] == [one.tags for one in imported.experiments]


def test_commits_give_diffs_and_times(researched: Path) -> None:
    found = import_log(researched / "results.tsv", repository=researched)
    base, kept, lost, never, gone = found.experiments
    assert found.commits == 3
    assert (base.diff, base.time) == ("", "2026-03-08T03:00:00.000Z")
    assert kept.commit == git(researched, "rev-parse", "HEAD")
    assert "-LR = 1\n+LR = 2" in kept.diff
    assert "latin" not in kept.diff
    assert lost.parent == kept.commit
    assert kept.change
    assert "-DEPTH = 8\n+DEPTH = 10" in lost.diff
    assert "LR" not in [line[1:3] for line in lost.diff.splitlines() if line.startswith(("+", "-"))]
    assert (never.diff, gone.diff, gone.time) == ("", "", "")


def test_a_branch_has_only_its_own_commits(researched: Path) -> None:
    found = import_log(researched / "results.tsv", repository=researched, branch="research")
    assert [bool(one.diff) for one in found.experiments] == [False, True, False, False, False]
    assert found.commits == 2


def test_a_diff_is_from_the_champion(researched: Path) -> None:
    commit(researched, "tidy", train=PROGRAM.format(lr=2, depth=8) + "\n# tidy\n")
    last = commit(researched, "lr again", train=PROGRAM.format(lr=3, depth=8) + "\n# tidy\n")
    log = researched / "results.tsv"
    log.write_text(log.read_text() + f"{last}\t0.96\t44.0\tkeep\tLR 2 -> 3\n")
    diff = import_log(log, repository=researched).experiments[-1].diff
    assert "+LR = 3" in diff
    assert "+# tidy" in diff


def test_a_row_that_repeats_a_commit_has_no_diff(researched: Path) -> None:
    log = researched / "results.tsv"
    base = log.read_text().splitlines()[1].partition("\t")[0]
    log.write_text(log.read_text() + f"{base}\t0.96\t44.0\tdiscard\tnamed by the commit it began from\n")
    assert import_log(log, repository=researched).experiments[-1].diff == ""


def test_data_and_long_files_are_no_part_of_a_diff(researched: Path) -> None:
    last = commit(researched, "data", train="x = 1\n", nul=b"a\x00b", long="#" * 2**20 + "\n")
    log = researched / "results.tsv"
    log.write_text(log.read_text() + f"{last}\t0.96\t44.0\tkeep\tdata\n")
    files = import_log(log, repository=researched).experiments[-1].diff.splitlines()
    assert [line for line in files if line.startswith("+++")] == ["+++ b/train.py"]


def test_an_imported_log_with_diffs_replays(researched: Path, tmp_path: Path) -> None:
    found = import_log(researched / "results.tsv", repository=researched)
    source = {"train.py": PROGRAM.format(lr=1, depth=8)}
    proposal = Replay(found.output).propose(brief_of(source))
    assert proposal is not None
    assert proposal.edits == {"train.py": PROGRAM.format(lr=2, depth=8)}


def test_the_log_s_own_file_is_no_part_of_a_diff(researched: Path) -> None:
    commit(researched, "with the log", train=PROGRAM.format(lr=4, depth=8))
    log = researched / "results.tsv"
    log.write_text(log.read_text() + f"{git(researched, 'rev-parse', 'HEAD')}\t0.9\t44\tkeep\tx\n")
    assert "results.tsv" not in import_log(log, repository=researched).experiments[-1].diff


def test_wrong_places_are_named(researched: Path, tmp_path: Path) -> None:
    log = researched / "results.tsv"
    for repository, branch, message in (
        (tmp_path, None, f"--repo {tmp_path}: no git repository"),
        (tmp_path / "none", None, "no such folder"),
        (researched, "nope", "--branch nope"),
    ):
        with pytest.raises(UsageError, match=message):
            import_log(log, repository=repository, branch=branch)
    assert not list(researched.glob("*.jsonl"))


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_text(UPSTREAM)
    output = Path(import_log(source).output)
    before = output.read_bytes()
    output.write_bytes(before + b"\n")
    with pytest.raises(UsageError, match="exists; -o names another file, --force overwrites it"):
        import_log(source)
    assert output.read_bytes() == before + b"\n"
    import_log(source, force=True)
    assert output.read_bytes() == before


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_text(UPSTREAM)
    with pytest.raises(UsageError, match=r"out\.jsonl: cannot write it: No such file"):
        import_log(source, tmp_path / "none" / "out.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_text(UPSTREAM)
    tmp_path.chmod(0o555)
    with pytest.raises(UsageError, match="cannot write it: Permission denied"):
        import_log(source)
    tmp_path.chmod(0o755)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_bytes(b"commit\t\xff")
    with pytest.raises(UsageError, match=r"r\.tsv: cannot read it: no UTF-8 at byte 7"):
        import_log(source)
    with pytest.raises(UsageError, match="cannot read it: No such file"):
        import_log(tmp_path / "none.tsv")


def test_a_log_of_ours_is_not_imported(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_text(UPSTREAM)
    with pytest.raises(UsageError, match="is a log of ours already"):
        import_log(Path(import_log(source).output), tmp_path / "again.jsonl")


def test_a_changed_line_of_a_log_of_ours_is_named(tmp_path: Path) -> None:
    source = tmp_path / "r.tsv"
    source.write_text(UPSTREAM)
    output = Path(import_log(source).output)
    output.write_text(output.read_text().replace("0.9932", "0.9032"))
    with pytest.raises(LedgerError, match=r"jsonl:3: the hash chain breaks here"):
        campaign_of(output)


# --- the commands ------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "results.tsv").write_text(UPSTREAM)
    (tmp_path / "log.jsonl").write_text(FIRST)
    return tmp_path


def test_import_says_what_it_read(here: Path) -> None:
    ended = call("import", "results.tsv", here=here)
    assert (ended.code, ended.out) == (0, "results.tsv.optiloop.jsonl\n")
    assert ended.err == (
        "results.tsv: results-tsv, 4 experiments: 2 keep, 1 discard, 1 crash\n"
        "val_bpb: 0.9979 at first, 0.9932 at last (minimize: the kept values fall)\n"
    )


def test_import_json(here: Path) -> None:
    found = json.loads(call("import", "log.jsonl", "--json", "-o", "out.jsonl", here=here).out)
    assert found == {
        "source": "log.jsonl",
        "format": "pi",
        "experiments": 3,
        "statuses": {"keep": 2, "crash": 1},
        "metric": "total_ms",
        "unit": "ms",
        "direction": "minimize",
        "known_by": "its config says lower",
        "first": 40.5,
        "last": 33.25,
        "commits": None,
        "left_out": [],
        "output": "out.jsonl",
    }


def test_a_log_stands_where_a_target_does(here: Path) -> None:
    call("import", "log.jsonl", here=here)
    for log in ("log.jsonl", "log.jsonl.optiloop.jsonl"):
        said = json.loads(call("status", log, "--json", here=here).out)
        assert (said["metric"], said["unit"], said["direction"]) == ("total_ms", "ms", Direction.MINIMIZE)
        assert (said["baseline"], said["champion"]["value"]) == ({"value": 40.5}, 33.25)
        assert len(call("log", log, here=here).out.splitlines()) == 3
        assert "radix" in call("show", log, "3", here=here).out
        assert "insertion sort" in call("report", log, "--format", "md", here=here).out


def test_export_and_import_back(here: Path) -> None:
    call("import", "results.tsv", here=here)
    assert call("export", "results.tsv.optiloop.jsonl", here=here).out == UPSTREAM
    call("export", "results.tsv", "--format", "pi", "-o", "as pi.jsonl", here=here)
    rows = campaign_of(here / "as pi.jsonl")
    assert [one.status for one in rows.experiments] == [
        Status.KEEP,
        Status.KEEP,
        Status.DISCARD,
        Status.CRASH,
    ]
    assert rows.champion_value == 0.9932


def test_learning_from_an_import(here: Path) -> None:
    call("import", "results.tsv", here=here)
    assert call("rules", "results.tsv.optiloop.jsonl", "--json", here=here).code == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("import", "none.tsv"), "optiloop: none.tsv: cannot read it: No such file or directory"),
        (("import", "results.tsv", "--branch", "x"), "optiloop: --branch needs --repo FOLDER"),
        (("import", "results.tsv", "--segment", "0"), "optiloop: results.tsv: --segment: only pi-"),
        (("import", "broken.tsv"), "optiloop: broken.tsv: line 6: unknown status 'maybe'"),
        (("report", "broken.tsv"), "optiloop: broken.tsv: line 6: unknown status 'maybe'"),
        (("status", "empty.jsonl"), "optiloop: empty.jsonl: line 1: not a results.tsv"),
    ],
)
def test_errors_are_one_line_with_file_and_line(here: Path, words: tuple[str, ...], error: str) -> None:
    (here / "broken.tsv").write_text(UPSTREAM + "e5f6a7b\t0.9\t44.0\tmaybe\twho knows\n")
    (here / "empty.jsonl").write_text("")
    ended = call(*words, here=here)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.error.startswith(error)
