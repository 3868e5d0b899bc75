"""The command line as people and scripts meet it: results, exit codes, error lines, help.

After a wanted change of a text: `python tests/test_cli.py` writes the golden files anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import chdir, closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from optiloop import cli
from optiloop.apply import replace_texts
from optiloop.errors import UsageError
from optiloop.foreign import read_results
from optiloop.live import Tally
from optiloop.model import Command, Metric

GOLDEN = Path(__file__).parent / "golden"
CLICK = f"click {version('click').rpartition('.')[0]}"
"""Whose wording the golden files hold beside ours: their first line."""

TOY = """\
name = "toy"
editable = ["value.txt"]

[[gate]]
name = "digits"
command = ["/bin/sh", "gate.sh"]

[metric]
name = "score"
command = ["/bin/sh", "score.sh"]
noise = "deterministic"
min_effect = 0.0
"""
GATE = """\
read value < value.txt
case "$value" in *[!0-9.]*) echo "not a number: $value" >&2; exit 1;; esac
"""
SCORE = 'read value < value.txt; echo "METRIC score=$value"\n'


@dataclass(frozen=True)
class Ended:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The last line of stderr: what went wrong."""
        return self.err.rstrip("\n").rpartition("\n")[2]


def call(*words: str | Path, here: Path) -> Ended:
    """Call `main` in this process."""
    out, err, before = (*(io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)), sys.argv)
    sys.argv = ["optiloop", *map(str, words)]
    try:
        with chdir(here), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            cli.main()
    finally:
        sys.argv = before
    code = end.value.code
    assert isinstance(code, int)
    return Ended(code, *(_text(stream) for stream in (out, err)))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def write_toy(folder: Path, *, toml: str = TOY, gate: str = GATE, score: str = SCORE) -> Path:
    folder.mkdir(parents=True)
    files = {"target.toml": toml, "gate.sh": gate, "score.sh": score, "value.txt": "100\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_replay(file: Path, *texts: str) -> str:
    """Write candidates for the toy; returns the proposer's name."""
    lines = ({"path": "value.txt", "text": f"{text}\n", "hypothesis": f"try {text}"} for text in texts)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return f"replay:{file}"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return write_toy(tmp_path / "toy")


@pytest.fixture
def here(toy: Path) -> Path:
    """The folder the toy lies in, with a campaign of five experiments, two of them kept."""
    proposer = write_replay(toy.parent / "five.jsonl", "90", "95", "ninety", "80", "80")
    ended = call("run", "toy", "--proposer", proposer, here=toy.parent)
    assert (ended.code, ended.error) == (0, "ended after 5 experiments: nothing is left to try")
    return toy.parent


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def in_repository(folder: Path) -> Path:
    """Make a folder a committed git repository of the user's."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


# --- running ---------------------------------------------------------------------------------------------


def test_run_says_each_experiment_on_stderr_and_the_result_on_stdout(toy):
    proposer = write_replay(toy.parent / "c.jsonl", "90", "bad", "95")
    ended = call("run", "toy", "--proposer", proposer, here=toy.parent)
    said = [re.sub(r"[\d.]+ s\)", "T)", line) for line in ended.err.splitlines()]
    assert said == [
        "baseline: score 100",
        "#1 keep 1.111×: try 90 (better: 100.0 -> 90.0, twice; T)",
        "#2 gate_failed: try bad (digits: exit 1: not a number: bad; T)",
        "#3 discard 0.947×: try 95 (worse: 90.0 -> 95.0; T)",
        "ended after 3 experiments: nothing is left to try",
    ]
    assert "champion     90" in ended.out
    assert "1.111× better, verified" in ended.out
    assert (toy / "value.txt").read_text() == "100\n", "the checkout is the user's"


def test_a_proposer_with_nothing_left_is_remembered_until_something_else_is_tried(here):
    done = json.loads(call("status", "toy", "--json", here=here).out)["exhausted"]
    assert done == {"proposer": "replay", "tried": {"replay": {"experiments": 5, "kept": 2}}, "shares": {}}
    said = "nothing by replay: replay 5 (2 kept). A model, or you, may know more"
    assert said in " ".join(call("status", "toy", here=here).out.split())
    more = write_replay(here / "more.jsonl", "70", "60")
    call("run", "toy", "--proposer", more, "--cycles", "1", here=here)
    assert json.loads(call("status", "toy", "--json", here=here).out)["exhausted"] is None
    five = write_replay(here / "more.jsonl", "70", "60", "50", "40", "30", "20")
    call("run", "toy", "--fresh", "--proposer", five, "--cycles", "5", here=here)
    assert json.loads(call("status", "toy", "--json", here=here).out)["exhausted"] is None, (
        "of another campaign"
    )


def test_run_json_gives_the_log_lines_and_then_the_status(toy):
    proposer = write_replay(toy.parent / "c.jsonl", "90", "95")
    ended = call("run", "toy", "--proposer", proposer, "--json", here=toy.parent)
    *experiments, status = map(json.loads, ended.out.splitlines())
    assert [line["status"] for line in experiments] == ["keep", "discard"]
    assert status["experiments"] == 2
    assert status["improvement"]["ratio"] == pytest.approx(100 / 90)


@pytest.mark.parametrize(
    ("limit", "experiments", "reason"),
    [
        (("--cycles", "2"), 2, "2 cycles are done"),
        (("--cycles", "0"), 0, "0 cycles are done"),
        (("--until", "score <= 90"), 1, "score <= 90 is reached"),
        (("--until", "score<71"), 4, "score < 71 is reached"),
        (("--plateau", "2"), 3, "nothing was kept in 2 experiments in a row"),
        (("--usd", "0"), 0, "0.00 USD of 0.00 are spent"),
        ((), 5, "nothing is left to try"),
    ],
)
def test_a_run_ends_at_its_first_limit(toy, limit, experiments, reason):
    proposer = write_replay(toy.parent / "c.jsonl", "90", "95", "94", "70", "60")
    ended = call("run", "toy", "--proposer", proposer, *limit, here=toy.parent)
    ended_after = f"ended after {experiments} experiment{'' if experiments == 1 else 's'}: {reason}"
    assert (ended.code, ended.error) == (0, ended_after)


def test_the_targets_own_budget_is_the_limit_where_no_time_is_given(tmp_path):
    write_toy(tmp_path / "toy", toml=TOY + '\n[budget]\nrun = "1ms"\n')
    ended = call("run", "toy", "--proposer", write_replay(tmp_path / "c", "90", "80", "70"), here=tmp_path)
    assert ended.error.endswith(": the time of 0.001 s is spent")


def test_a_second_run_goes_on_and_fresh_begins_anew(here):
    more = write_replay(here / "more.jsonl", "60")
    assert "\n#6 keep" in call("run", "toy", "--proposer", more, here=here).err
    fresh = call("run", "toy", "--proposer", more, "--fresh", here=here)
    assert "\n#1 keep" in fresh.err
    assert "experiments  1: 1 keep" in fresh.out


def test_the_live_tally_counts_the_earlier_runs(here):
    from optiloop.state import read_campaign
    from optiloop.targets import load_target

    tally = Tally(Metric("score", Command("true")))
    for experiment in read_campaign(load_target(here / "toy")).experiments:
        tally.take(experiment)
    tally.start(100.0)
    assert (tally.champion, tally.gained) == (80.0, "1.250× better")
    assert tally.counts.total() == 5
    assert tally.course[0] == 100.0


def test_a_target_in_a_path_with_spaces(tmp_path):
    in_repository(write_toy(tmp_path / "a b" / "my toy"))
    proposer = write_replay(tmp_path / "c d.jsonl", "90")
    ended = call("run", "my toy", "--proposer", proposer, here=tmp_path / "a b")
    assert (ended.code, "1 keep" in ended.out) == (0, True)


def test_step_runs_one_experiment(toy):
    proposer = write_replay(toy.parent / "c.jsonl", "90", "80")
    ended = call("step", "toy", "--proposer", proposer, here=toy.parent)
    assert ended.out.startswith("#1 keep 1.111×: try 90 (")
    line = json.loads(call("step", "toy", "--proposer", proposer, "--json", here=toy.parent).out)
    assert (line["status"], line["hypothesis"]) == ("keep", "try 80")
    last = call("step", "toy", "--proposer", proposer, here=toy.parent)
    assert (last.code, last.out, last.error) == (0, "", "nothing is left to try")


@pytest.mark.parametrize(("answer", "status"), [("y", "keep"), ("n", "discard"), ("", "discard")])
def test_step_interactive_shows_the_change_and_asks(toy, monkeypatch, answer, status):
    proposer = write_replay(toy.parent / "c.jsonl", "90")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    ended = call("step", "toy", "--interactive", "--proposer", proposer, here=toy.parent)
    assert "-100\n+90\n" in ended.err
    assert "Run this experiment? [y/N]" in ended.err
    assert ended.out.startswith(f"#1 {status}")
    assert ("declined" in ended.out) == (status == "discard")


def test_step_interactive_without_an_answer_ends_in_order(toy, monkeypatch):
    proposer = write_replay(toy.parent / "c.jsonl", "90")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    ended = call("step", "toy", "--interactive", "--proposer", proposer, here=toy.parent)
    assert (ended.code, ended.error) == (
        130,
        "ended in order, nothing lost; `optiloop run toy` goes on from here",
    )
    assert json.loads(call("status", "toy", "--json", here=toy.parent).out)["experiments"] == 0


# --- reading ---------------------------------------------------------------------------------------------


def test_status(here):
    status = json.loads(call("status", "toy", "--json", here=here).out)
    assert status["statuses"]["keep"] == 2
    assert status["duplicates_avoided"] == 1
    assert status["champion"]["value"] == 80.0
    assert status["baseline"] == {"value": 100.0}
    assert status["improvement"]["verified"] is True
    assert [status["improvement"][key] for key in ("ratio", "low", "high")] == pytest.approx([1.25] * 3)
    assert "improvement  1.250× better, verified" in call("status", "toy", here=here).out


def test_the_result_numbers_experiments_and_fits_80_columns(here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = call("status", "toy", here=here).out
    assert re.search(
        r"#1 +1\.111× +1\.111× +try 90\n *#4 +1\.125× +1\.125× +try 80", re.sub(r" +\n", "\n", said)
    )
    assert max(map(len, said.splitlines())) <= 80


def test_log(here):
    lines = call("log", "toy", here=here).out.splitlines()
    assert [line.split()[0] for line in lines] == ["#1", "#2", "#3", "#4", "#5"]
    assert call("log", "toy", "-n", "1", here=here).out.startswith("#5 duplicate: try 80")
    kept = call("log", "toy", "--status", "keep", "--json", here=here).out.splitlines()
    assert [json.loads(line)["hypothesis"] for line in kept] == ["try 90", "try 80"]


def test_show_takes_a_number_or_part_of_an_id(here):
    for word in ("4", "#4"):
        said = call("show", "toy", word, here=here).out
        assert "hypothesis    try 80\n" in said
        assert "verdict       keep: better: 90.0 -> 80.0, twice\n" in said
        assert said.endswith("-90\n+80\n\n")
    line = json.loads(call("show", "toy", "4", "--json", here=here).out)
    assert call("show", "toy", line["id"][8:].lower(), here=here).out == said


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("terminal", "toy\n"),
        ("md", "# "),
        ("html", "<!doctype html>"),
        ("tsv", "commit\tscore\t"),
        ("json", "{"),
    ],
)
def test_report_in_every_format_and_to_a_file(here, form, start):
    said = call("report", "toy", "--format", form, here=here).out
    assert said.lower().startswith(start)
    assert call("report", "toy", "--format", form, "-o", "out", here=here).out == ""
    assert (here / "out").read_text(encoding="utf-8") != ""


def test_the_labels_of_the_charts_axis_differ(tmp_path):
    write_toy(tmp_path / "toy").joinpath("value.txt").write_text("100000\n")
    proposer = write_replay(tmp_path / "c.jsonl", "99999.5", "99999", "99998.5")
    call("run", "toy", "--proposer", proposer, here=tmp_path)
    page = call("report", "toy", "--format", "html", here=tmp_path).out
    labels = re.findall(r'text-anchor="end">([\d,.]+)<', page)
    assert len(labels) == len(set(labels)) > 2, labels


@pytest.mark.parametrize("form", ["terminal", "md", "html", "json"])
def test_the_morning_report_in_every_format_and_to_a_file(here, form):
    words = ("report", "toy", "--since", "2020-01-01", "--format", form)
    call(*words, "-o", "out", here=here)
    written = (here / "out").read_text(encoding="utf-8")
    assert "2 of 5 experiments kept" in written
    if form != "terminal":
        assert call(*words, here=here).out == written


def test_the_morning_report_measures_nothing(here):
    (here / "toy/.optiloop/toy/claim.json").unlink()
    found = json.loads(call("report", "toy", "--since", "2020-01-01", "--json", here=here).out)
    assert found["improvement"]["ratio"] is None
    (packet,) = (it for it in found["packets"] if it["action"] == "replicate")
    assert packet["command"] == "optiloop run toy --cycles 0"
    assert call(*packet["command"].split()[1:], here=here).code == 0
    after = json.loads(call("report", "toy", "--since", "2020-01-01", "--json", here=here).out)
    assert after["packets"][0]["action"] == "promote"


def test_the_morning_report_on_a_log_that_lies_alone(here):
    replace_texts({here / "alone.jsonl": (here / "toy/.optiloop/toy/experiments.jsonl").read_text()})
    ended = call("report", "alone.jsonl", "--since", "2020-01-01", "--json", here=here)
    commands = [packet["command"] for packet in json.loads(ended.out)["packets"]]
    assert commands
    assert all(call(*command.split()[1:], here=here).code == 0 for command in commands)


@pytest.mark.parametrize("since", ["soon", "16x", "2026-13-01", "-1h"])
def test_the_morning_report_names_a_wrong_moment(here, since):
    ended = call("report", "toy", f"--since={since}", here=here)
    assert (ended.code, f"not a duration: {since!r}" in ended.error) == (2, True)


def test_the_morning_report_has_no_tsv(here):
    ended = call("report", "toy", "--since", "16h", "--format", "tsv", here=here)
    assert (ended.code, "no tsv" in ended.error) == (2, True)


def test_an_experiment_can_be_run_again_in_the_champion_of_now(here):
    call("run", "toy", "--proposer", write_replay(here / "worse.jsonl", "85"), here=here)
    line = call("show", "toy", "6", "--replay", here=here).out
    assert json.loads(line) == {"edits": {"value.txt": "85\n"}, "hypothesis": "try 85", "family": ""}
    (here / "again.jsonl").write_text(line, encoding="utf-8")
    words = ("run", "toy", "--mode", "replicate", "--proposer", "replay:again.jsonl", "--json")
    (again, _) = call(*words, here=here).out.splitlines()
    assert (json.loads(again)["status"], json.loads(again)["hypothesis"]) == ("discard", "try 85")


def test_what_no_longer_fits_cannot_be_run_again(here):
    for number, why in (("2", "cannot be made"), ("5", "no change")):
        ended = call("show", "toy", number, "--replay", here=here)
        assert (ended.code, why in ended.error) == (2, True)


def test_report_tsv_can_be_read_back(here):
    rows = read_results(call("report", "toy", "--format", "tsv", here=here).out).rows
    assert "try 80" in rows[-1].description


def test_report_measures_what_no_run_could(here):
    (here / "toy/.optiloop/toy/claim.json").unlink()
    ended = call("report", "toy", "--json", here=here)
    assert ended.err == "the champion has no fresh measurement yet: measuring\n"
    assert json.loads(ended.out)["improvement"]["ratio"] == pytest.approx(1.25)


# --- verify, apply ---------------------------------------------------------------------------------------


def test_verify(here):
    said = call("verify", "toy", here=here)
    assert (said.code, said.out.count("ok   ")) == (0, 5)
    found = json.loads(call("verify", "toy", "--json", here=here).out)
    assert (found["ok"], found["improvement"]["ratio"]) == (True, pytest.approx(1.25))


def home(here: Path) -> Path:
    return here / "toy/.optiloop/toy"


def reword(line: bytes) -> bytes:
    return line.replace(b"try 95", b"try 59")


@pytest.mark.parametrize(
    ("number", "change", "named"),
    [
        (2, reword, "experiments.jsonl:3: the hash chain breaks"),
        (2, lambda line: b"{}", "experiments.jsonl:2: schema version None"),
        (4, lambda line: line[:-9], "experiments.jsonl:4: not JSON"),
    ],
)
def test_a_changed_log_is_named_by_file_and_line_and_nothing_is_overwritten(here, number, change, named):
    log = home(here) / "experiments.jsonl"
    lines = log.read_bytes().split(b"\n")
    lines[number - 1] = change(lines[number - 1])
    log.write_bytes(b"\n".join(lines))
    for command in ("verify", "status", "log", "run"):
        ended = call(command, "toy", here=here)
        assert (ended.code, named in ended.error) == (6, True), ended
    assert log.read_bytes() == b"\n".join(lines)
    fresh = call("run", "toy", "--fresh", "--proposer", write_replay(here / "d.jsonl", "70"), here=here)
    assert (fresh.code, "experiments  1: 1 keep" in fresh.out) == (0, True), fresh


def test_verify_names_a_branch_that_is_not_the_logs(here):
    repository = home(here) / "repository.git"
    git(repository, "update-ref", "refs/heads/optiloop/toy", "optiloop/toy~1")
    ended = call("verify", "toy", here=here)
    assert (ended.code, "the log ends at commit" in ended.error) == (6, True)


def test_a_branch_that_is_gone_is_not_called_a_campaign_that_never_was(here):
    git(home(here) / "repository.git", "update-ref", "-d", "refs/heads/optiloop/toy")
    ended = call("status", "toy", here=here)
    assert (ended.code, "branch optiloop/toy is gone" in ended.error) == (5, True)
    fresh = call("run", "toy", "--fresh", "--proposer", write_replay(here / "d.jsonl", "70"), here=here)
    assert (fresh.code, "experiments  1: 1 keep" in fresh.out) == (0, True), fresh


def test_verify_of_a_target_without_a_campaign_begins_none(toy):
    assert call("verify", "toy", here=toy.parent).code == 2
    assert not (toy / ".optiloop").exists()


def test_apply_writes_the_champion_into_the_checkout(here):
    assert call("apply", "toy", here=here).out == "wrote value.txt\n"
    assert (here / "toy/value.txt").read_text() == "80\n"


def test_apply_refuses_to_write_over_somebodys_work(here):
    (here / "toy/value.txt").write_text("77\n")
    ended = call("apply", "toy", here=here)
    assert (ended.code, "changed since the campaign began" in ended.error) == (2, True)
    assert (here / "toy/value.txt").read_text() == "77\n"


def test_apply_keeps_a_files_mode_and_leaves_nothing_beside_it(here):
    (here / "toy/value.txt").chmod(0o755)
    call("apply", "toy", here=here)
    assert (here / "toy/value.txt").stat().st_mode & 0o777 == 0o755
    assert list((here / "toy").glob(".*.part")) == []


def test_apply_writes_all_files_or_none(tmp_path):
    (tmp_path / "one").write_text("1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="two: cannot write it"):
        replace_texts({tmp_path / "one": "new", tmp_path / "folder/absent/two": "new"})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["folder", "one"]
    assert (tmp_path / "one").read_text() == "1"


@pytest.fixture
def repository(toy: Path) -> Path:
    """A repository of the user's with the toy in a folder of it, and a kept experiment."""
    in_repository(toy.parent)
    proposer = write_replay(toy.parent / "c.jsonl", "90")
    assert call("run", "toy", "--proposer", proposer, here=toy.parent).code == 0
    return toy.parent


def test_apply_as_a_branch(repository):
    said = call("apply", "toy", "--branch", "faster", here=repository)
    assert (said.code, git(repository, "show", "faster:toy/value.txt")) == (0, "90")
    assert git(repository, "branch", "--show-current") == "main"
    again = call("apply", "toy", "--branch", "faster", here=repository)
    assert (again.code, "already exists" in again.error) == (5, True)


def test_apply_as_a_patch_that_git_takes(repository):
    said = call("apply", "toy", "--patch", "faster.patch", here=repository)
    assert said.out == "wrote faster.patch; apply it with: git apply faster.patch\n"
    git(repository, "apply", "faster.patch")
    assert (repository / "toy/value.txt").read_text() == "90\n"


def test_apply_with_nothing_to_apply(toy):
    call("run", "toy", "--cycles", "0", here=toy.parent)
    said = call("apply", "toy", here=toy.parent)
    assert (said.code, said.out) == (0, "nothing to apply: the champion is the baseline\n")


def test_no_git_identity_is_needed(toy, monkeypatch):
    in_repository(toy.parent)
    for name, value in (
        ("HOME", str(toy.parent)),
        ("GIT_CONFIG_GLOBAL", os.devnull),
        ("GIT_CONFIG_NOSYSTEM", "1"),
    ):
        monkeypatch.setenv(name, value)
    proposer = write_replay(toy.parent / "c.jsonl", "90")
    assert call("run", "toy", "--proposer", proposer, here=toy.parent).code == 0
    assert git(toy.parent, "log", "-1", "--format=%an", "optiloop/toy") == "optiloop"


# --- check, new, list, doctor, completion ----------------------------------------------------------------


def test_check(toy):
    said = call("check", "toy", here=toy.parent)
    assert said.out.startswith("toy can be optimized.\nbaseline       score 100, all gates passed\n")
    found = json.loads(call("check", "toy", "--json", here=toy.parent).out)
    assert (found["value"], found["noise"], found["advice"]) == (100.0, None, [])


RANDOM = "1$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')e$(( $(od -An -N1 -tu1 /dev/urandom) % 30 ))"
"""No two are equal, and they vary so widely that no load of the machine is as wide."""
TIMED = """\
name = "toy"
editable = ["value.txt"]
[metric]
name = "score"
unit = "us"
command = ["/bin/sh", "score.sh"]
"""


@pytest.mark.parametrize(
    ("score", "advice"),
    [
        ("echo METRIC score=9000", ["no [[gate]]", 'set noise = "deterministic"']),
        ("echo METRIC score=9", ["no [[gate]]", "deterministic", "the workload is short"]),
        (f"echo METRIC score={RANDOM}", ["no [[gate]]", "CPU time of the same runs varied"]),
    ],
)
def test_check_advises(tmp_path, score, advice):
    write_toy(tmp_path / "toy", toml=TIMED, score=score)
    said = json.loads(call("check", "toy", "--json", here=tmp_path).out)["advice"]
    assert len(said) == len(advice)
    assert all(word in line for word, line in zip(advice, said, strict=True)), said


def test_check_tells_of_a_number_that_can_be_forged(tmp_path):
    folder = write_toy(tmp_path / "toy", score="true")
    (folder / "bench.py").write_text("import value\nprint('METRIC score=3')\n")
    (folder / "value.py").write_text("")
    toml = (folder / "target.toml").read_text()
    toml = re.sub(r"editable = .*", 'editable = ["value.py"]', toml)
    (folder / "target.toml").write_text(
        re.sub(r"(\[metric\](?s:.*?)command = ).*", r'\1"python bench.py"', toml)
    )
    assert "bench.py runs the candidate in its own process" in call("check", "toy", here=tmp_path).out


@pytest.mark.parametrize("template", ["command", "python", "size"])
def test_a_new_target_runs_as_it_is_to_a_first_keep(tmp_path, template):
    said = call("new", "mine", "--template", template, "--no-check", here=tmp_path)
    assert said.out.endswith("next: optiloop check mine    then: optiloop run mine\n")
    ended = call("run", "mine", "--cycles", "3", "--until", "nothing <= 0", here=tmp_path)
    assert ended.code == 2
    ended = call("run", "mine", "--cycles", "3", here=tmp_path)
    assert (ended.code, " keep" in ended.err) == (0, True), ended


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("no/../..",), "a target's name is letters"),
        (("1st",), "a target's name is letters"),
        (("toy",), "toy is there already"),
        (("x", "--template", "pyton"), "did you mean 'python'?"),
        (("absent/x",), ""),
    ],
)
def test_new_refuses_and_leaves_nothing_half_written(toy, words, named):
    before = sorted(toy.parent.rglob("*"))
    ended = call("new", *words, "--no-check", here=toy.parent)
    if ended.code == 0:  # a parent folder is made where there is none
        return
    assert (ended.code, named in ended.error) == (2, True)
    assert sorted(toy.parent.rglob("*")) == before


def test_list_and_doctor(tmp_path):
    found = json.loads(call("list", "--json", here=tmp_path).out)
    assert "text_processor" in found["targets"]
    assert {"portfolio", "replay", "human"} <= set(found["proposers"])
    assert {"metric-line", "json"} <= set(found["parsers"])
    said = call("doctor", here=tmp_path).out
    assert re.search(r"\nsandbox:      (bwrap|process) is the strongest level here\n  bwrap:      ", said)
    assert "\n  process:    contains accidents; hostile code can read your files" in said
    assert re.search(r"^instructions: (hardware counter|valgrind \d|not found)", said, re.MULTILINE)
    assert re.search(r"^worker:       (a candidate .+ is kept from|confines itself)", said, re.MULTILINE)
    assert set(json.loads(call("doctor", "--json", here=tmp_path).out)) >= {"git", "cpu clock", "disk"}


def test_reading_a_built_in_lays_nothing_out(tmp_path):
    ended = call("status", "text_processor", here=tmp_path)
    assert (ended.code, "`optiloop run text_processor` does so" in ended.error) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shell", "start"), [("bash", "_optiloop"), ("zsh", "#compdef"), ("fish", "function")]
)
def test_completion_scripts(tmp_path, shell, start):
    assert call("completion", shell, here=tmp_path).out.startswith(start)


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("optiloop ru", "plain,run"),
        ("optiloop run te", "plain,text_processor"),
        ("optiloop run toy --proposer re", "plain,replay:"),
        ("optiloop report toy --format ht", "plain,html"),
    ],
)
def test_completing(tmp_path, monkeypatch, line, completed):
    monkeypatch.setenv("_OPTILOOP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert completed in call(here=tmp_path).out.splitlines()


# --- errors: one line each -------------------------------------------------------------------------------


WRONG_CALLS = (
    ("ask", "toy", "--helped", "nothing"),
    ("ask", "toy", "--best-before", "99"),
    ("ask", "toy", "--state", "--ancestry"),
    ("ask", "toy", "--as-of", "soon"),
    ("ask", "toy", "--insights", "luck"),
    ("ask", "none.jsonl"),
    ("--nope",),
    ("rum", "toy"),
    ("run",),
    ("run", "xyzzy"),
    ("run", "text_procesor"),
    ("run", "five.jsonl"),
    ("run", "toy", "--time", "soon"),
    ("run", "toy", "--cycles", "-1"),
    ("run", "toy", "--until", "score"),
    ("run", "toy", "--until", "sore <= 3"),
    ("run", "toy", "--until", "score <= nan"),
    ("run", "toy", "--until", "score <= few"),
    ("run", "toy", "--proposer", "rewrit"),
    ("run", "toy", "--proposer", "replay:absent.jsonl"),
    ("run", "toy", "--proposer", "replay:broken.jsonl"),
    ("run", "toy", "--proposer", "replay:untexted.jsonl"),
    ("run", "toy", "--proposer", "human"),
    ("log", "toy", "--status", "kept"),
    ("show", "toy", "6"),
    ("show", "toy", "ZZZ"),
    ("report", "toy", "--format", "pdf"),
    ("report", "toy", "-o", "absent/out.md"),
    ("apply", "toy", "--branch", "a", "--patch", "b"),
    ("apply", "toy", "--branch", "a"),
    ("completion", "tcsh"),
    ("status", "empty"),
    ("check", "empty"),
)


def wrong_calls(here: Path) -> str:
    """Each wrong call, its exit code and what it says."""
    (here / "empty").mkdir()
    (here / "broken.jsonl").write_text('{"path": "value.txt", "text": "70", "hypothesis": ""}\n{"path"\n')
    (here / "untexted.jsonl").write_text('{"path": "value.txt", "hypothesis": ""}\n')
    said = []
    for words in WRONG_CALLS:
        ended = call(*words, here=here)
        assert ended.out == "", f"stdout is for results: {words}"
        said.append(f"$ optiloop {' '.join(words)}\n{ended.err}[{ended.code}]\n")
    return "\n".join(said).replace(f"{here}/", "")


def helps() -> str:
    """The help of every command."""
    from click.testing import CliRunner

    names = ((), *((name,) for name in sorted(cli.cli.commands)))
    pages = (
        CliRunner().invoke(cli.cli, [*name, "--help"], prog_name="optiloop", terminal_width=100)
        for name in names
    )
    return "\n\n".join(page.output for page in pages)


def test_wrong_calls_say_what_and_what_to_do_in_one_line(here):
    expected = (GOLDEN / "cli_errors.txt").read_text(encoding="utf-8")
    if expected.partition("\n")[0] != CLICK:
        pytest.skip("the golden file was written with another version of click")
    assert wrong_calls(here) == expected.partition("\n")[2]


def test_every_error_is_one_line(here):
    for block in wrong_calls(here).split("\n\n"):
        _, *said, code = block.rstrip("\n").split("\n")
        assert said[-1].startswith("optiloop: "), block
        assert [line for line in said[:-1] if not line.startswith("baseline")] == [], block
        assert code in ("[2]", "[3]"), block


def test_help(tmp_path):
    expected = (GOLDEN / "cli_help.txt").read_text(encoding="utf-8")
    if expected.partition("\n")[0] != CLICK:
        pytest.skip("the golden file was written with another version of click")
    assert helps() == expected.partition("\n")[2]


def test_a_log_is_asked_by_its_target_and_by_its_path(here):
    by_target = call("ask", "toy", "--ancestry", "--json", here=here)
    assert [row["run"] for row in json.loads(by_target.out)["rows"]] == [4, 1]
    assert call("ask", next(here.rglob("experiments.jsonl")), "--ancestry", "--json", here=here) == by_target
    assert call("ask", "toy", "--ancestry", "--as-of", "3", here=here).out.startswith(
        "the champion of #3 stands on 1"
    )


def test_the_index_is_rebuilt_to_the_same_content(here):
    said = [
        json.loads(call("memory", verb, "toy", "--json", here=here).out)
        for verb in ("rebuild", "status", "rebuild")
    ]
    assert len({index["content"] for index in said}) == 1
    assert said[0]["experiments"] == 5


def test_what_a_run_taught_is_held_for_the_question_after_it(here: Path) -> None:
    (index,) = here.rglob("memory.db")

    def held() -> list[tuple[str, str]]:
        with closing(sqlite3.connect(index)) as connection:
            return connection.execute("SELECT basis, told FROM insight ORDER BY 1, focus").fetchall()

    first = held()
    assert len({basis for basis, _ in first}) == 1
    assert call("ask", "toy", "--insights", "discover", here=here).code == 0
    assert held() == first
    call("run", "toy", "--proposer", write_replay(here / "more.jsonl", "70"), here=here)
    assert len({basis for basis, _ in held()}) == 2


def test_a_terminal_is_told_what_a_slow_question_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", shown)
    with cli._slowly("reading"):
        assert shown.getvalue() == ""
    assert shown.getvalue() == ""
    monkeypatch.setattr(cli, "SLOW_SECONDS", 0.0)
    with cli._slowly("reading"):
        while "reading" not in shown.getvalue():
            time.sleep(0.001)
    assert shown.getvalue() == "\r… reading\r\x1b[K"


def test_a_finding_is_taken_back_by_its_id(here: Path) -> None:
    from optiloop.memory.cases import Subject
    from optiloop.memory.findings import id_of

    finding = id_of(Subject("value.txt", "change"))
    said = call("memory", "retract", "toy", finding, "--why", "the data was wrong", here=here)
    assert said.code == 0
    assert re.fullmatch(rf"{finding} value.txt change: \w+ -> retracted\n", said.out)
    lines = next(here.rglob("events.jsonl")).read_text().splitlines()
    assert json.loads(lines[-1])["why"] == "the data was wrong"
    assert call("memory", "retract", "toy", "f0", here=here).code == 2
    log = next(here.rglob("experiments.jsonl"))
    assert call("memory", "retract", log, finding, here=here).code == 2


def test_every_command_has_examples_in_its_help():
    for command in cli.cli.commands.values():
        assert "Examples:" in (command.epilog or ""), command.name


GOOD = """\
editable = ["value.txt"]
[metric]
name = "score"
command = ["/bin/sh", "score.sh"]
"""


@pytest.mark.parametrize(
    ("toml", "score", "named"),
    [
        ("", SCORE, "target.toml: [metric] is missing: name, command and direction"),
        ("editable = [", SCORE, "target.toml: not TOML"),
        (GOOD + '[[gate]]\ncommand = "nope"\n', SCORE, "gate 1: exit 127: cannot start 'nope': No such file"),
        (GOOD + '[[gate]]\ncommand = "false"\n', SCORE, "the baseline fails its own gate 1: exit 1"),
        (GOOD + '[holdout]\ncommand = "false"\n', SCORE, "the baseline fails its own hold-out"),
        (GOOD, ":", "the baseline gives no metric: no 'score' in the output"),
        (GOOD, "echo METRIC score=fast", "not a number: 'fast'"),
        (GOOD, "echo METRIC score=nan", "the baseline gives no metric: the value is nan"),
        (GOOD, "echo oh no >&2; exit 3", "/bin/sh score.sh: exit 3: oh no"),
        (GOOD + 'timeout = "100ms"\n', "sleep 60", "killed at its limit of 0.1 s"),
        (
            GOOD,
            "echo METRIC score=-1",
            'must be positive to compare it by ratio; else set compare = "difference"',
        ),
        (
            GOOD + 'noise = "deterministic"\n',
            f"echo METRIC score={RANDOM}",
            'set noise = "timing" in [metric]',
        ),
    ],
)
def test_a_target_that_cannot_judge_itself_ends_with_3_and_one_line(tmp_path, toml, score, named):
    write_toy(tmp_path / "toy", toml=toml, score=score)
    for command in ("check", "run"):
        ended = call(command, "toy", here=tmp_path)
        assert (ended.code, ended.out) == (3, "")
        assert named in ended.error
        assert ended.err.count("\n") == 1, ended.err
    assert not (tmp_path / "toy/.optiloop/toy/experiments.jsonl").exists()


def test_a_changed_judge_is_not_compared_with_the_old_one(here):
    (here / "toy/score.sh").write_text("echo METRIC score=1\n")
    ended = call("run", "toy", here=here)
    assert (ended.code, ended.error.startswith("optiloop: score.sh changed since this campaign began")) == (
        5,
        True,
    )


def write_golden() -> None:
    """Write the golden files anew."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        toy = write_toy(Path(folder) / "toy")
        proposer = write_replay(toy.parent / "five.jsonl", "90", "95", "ninety", "80", "80")
        call("run", "toy", "--proposer", proposer, here=toy.parent)
        said = wrong_calls(toy.parent)
    (GOLDEN / "cli_errors.txt").write_text(f"{CLICK}\n{said}", encoding="utf-8")
    (GOLDEN / "cli_help.txt").write_text(f"{CLICK}\n{helps()}", encoding="utf-8")


if __name__ == "__main__":
    write_golden()
