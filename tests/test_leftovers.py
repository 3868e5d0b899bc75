"""What one command leaves must not reach the next, and what lies about must not end a campaign."""

import json
import subprocess
from pathlib import Path

import pytest

from optiloop.errors import TargetError, WorkspaceError
from optiloop.loop import Engine
from optiloop.model import Experiment, Status
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer

JUDGE = """\
import helper
print(f"METRIC score={helper.score(open('value.txt').read())}")
"""


def target(folder: Path, *, name: str = "shady", metric: str = "") -> Path:
    """A target whose benchmark imports a module, as most do."""
    folder.mkdir(parents=True)
    files = {
        "target.toml": f'name = "{name}"\neditable = ["value.txt"]\n[[gate]]\ncommand = "python gate.py"\n'
        f'[metric]\nname = "score"\ncommand = "python judge.py"\nnoise = "deterministic"\n{metric}',
        "value.txt": "pass\n100\n",
        "gate.py": "exec(open('value.txt').read().splitlines()[0])\n",
        "judge.py": JUDGE,
        "helper.py": "def score(text):\n    return float(text.split()[-1])\n",
    }
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def run(folder: Path, *texts: str) -> list[Experiment]:
    # What these candidates try, `bwrap` would not let them: the loop must find it out all the same.
    with Engine.opened(load_target(folder), ScriptedProposer(*texts), sandbox="process") as engine:
        engine.prepare()
        return list(engine.cycles())


@pytest.mark.parametrize("tree", [".", "../base"])
def test_a_module_dropped_by_the_gate_s_run_is_gone_before_the_benchmark(tmp_path: Path, tree: str) -> None:
    """A package wins over a module of the same name; a benchmark that found it would be forged."""
    package, text = f"{tree}/helper", "def score(t): return 1"
    forge = f"import os; os.makedirs('{package}'); open('{package}/__init__.py', 'w').write('{text}')"
    (found,) = run(target(tmp_path / "t"), f"{forge}\n100\n")
    assert found.status is Status.DISCARD
    assert "equal: 100.0 -> 100.0" in found.reason


def test_a_candidate_that_moves_the_branch_back_is_a_violation(tmp_path: Path) -> None:
    folder = target(tmp_path / "t")
    move = "import subprocess; subprocess.run('git update-ref refs/heads/optiloop/shady HEAD', shell=True)"
    found = run(folder, "pass\n90\n", f"{move}\n80\n", "pass\n70\n")
    assert [experiment.status for experiment in found] == [Status.KEEP, Status.VIOLATION, Status.KEEP]
    assert "branch optiloop/shady" in found[1].reason
    with Engine.opened(load_target(folder), ScriptedProposer()) as engine:
        assert len(engine.workspace.commits()) == 2


def test_an_old_result_file_in_the_checkout_is_no_part_of_the_judge(tmp_path: Path) -> None:
    folder = target(tmp_path / "t", metric='parser = "json"\nfile = "out.json"\n')
    (folder / "judge.py").write_text(
        "import json, helper\n"
        "json.dump({'score': helper.score(open('value.txt').read())}, open('out.json', 'w'))\n"
    )
    (folder / "out.json").write_text('{"score": 1}')
    (found,) = run(folder, "pass\n90\n")
    assert found.status is Status.KEEP
    assert json.loads((folder / "out.json").read_text()) == {"score": 1}


def test_a_judge_that_changes_its_own_files_is_told_so_before_the_first_experiment(tmp_path: Path) -> None:
    folder = target(tmp_path / "t")
    (folder / "judge.py").write_text(JUDGE + "open('helper.py', 'a').write('#')\n")
    with pytest.raises(TargetError, match=r"its own commands change helper\.py"):
        run(folder, "pass\n90\n")


def test_before_the_first_experiment_a_mended_judge_and_file_are_taken_as_they_lie(tmp_path: Path) -> None:
    folder = target(tmp_path / "t")
    (folder / "judge.py").write_text("raise SystemExit('not yet')\n")
    with pytest.raises(TargetError, match="not yet"):
        run(folder, "pass\n90\n")
    (folder / "judge.py").write_text(JUDGE)
    (folder / "value.txt").write_text("pass\n50\n")
    found = run(folder, "pass\n90\n", "pass\n40\n")
    assert [experiment.status for experiment in found] == [Status.DISCARD, Status.KEEP]


def test_two_targets_of_one_name_in_one_repository_do_not_share_a_campaign(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    run(target(tmp_path / "one", name="same"), "pass\n90\n")
    with pytest.raises(WorkspaceError, match="the target in one of this repository has the same name"):
        run(target(tmp_path / "two", name="same"), "pass\n90\n")


def test_a_file_that_git_converts_at_checkout_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    folder = target(tmp_path / "t")
    (folder / ".gitattributes").write_text("*.txt text eol=crlf\n")
    with pytest.raises(WorkspaceError, match=r"value\.txt: git converts it at checkout"):
        run(folder, "pass\n90\n")
