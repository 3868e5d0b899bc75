"""target.toml, target.py and installed targets: what loads, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from optiloop.errors import TargetError, UsageError
from optiloop.model import Budget, Confinement, Direction, Noise, Policy
from optiloop.sandbox import Sandbox
from optiloop.targets import begin_target, builtin_names, duration, find_target, forgeable, load_target, size

MINIMAL = """\
editable = ["main.py"]
[metric]
name = "m"
command = "python bench.py"
"""


def write(folder: Path, toml: str = MINIMAL) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text("x = 1\n")
    (folder / "target.toml").write_text(toml, encoding="utf-8")
    return folder


def test_the_least_target_has_the_folders_name_and_the_defaults(tmp_path):
    target = load_target(write(tmp_path / "mine"))
    assert (target.name, target.files_per_change, target.gates) == ("mine", 1, ())
    assert (target.metric.direction, target.metric.noise) == (Direction.MINIMIZE, Noise.TIMING)
    assert (target.policy, target.budget) == (Policy(), Budget())


def test_a_whole_target(tmp_path):
    toml = """\
name = "whole"
goal = "faster"
editable = ["main.py"]
context = ["target.toml"]
files_per_change = 2
[[gate]]
name = "tests"
command = ["pytest", "-q"]
timeout = "2m"
env = { A = "1" }
[[gate]]
command = "true"
[metric]
name = "m"
unit = "ms"
direction = "maximize"
command = "bench | tail -1"
parser = "regex"
pattern = "([0-9]+)"
repeats = "last"
file = "out.txt"
noise = "deterministic"
min_effect = 1
timeout = 90
[[guard]]
metric = "mb"
max_ratio = 1.1
[holdout]
command = "true"
[diagnose]
command = "true"
[policy]
alpha = 0.05
max_pairs = 9
[budget]
cycle = "500ms"
run = "1.5h"
"""
    target = load_target(write(tmp_path / "x", toml))
    assert [gate.name for gate in target.gates] == ["tests", "gate 2"]
    assert (target.gates[0].command.timeout, target.gates[0].command.env) == (120, {"A": "1"})
    assert target.metric.options == {"pattern": "([0-9]+)", "repeats": "last", "file": "out.txt"}
    assert (target.metric.command.timeout, target.metric.min_effect) == (90, 1.0)
    assert target.policy == Policy(alpha=0.05, max_pairs=9)
    assert (target.budget.cycle, target.budget.run) == (0.5, 5400)
    assert target.holdout is not None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("direktion = 'maximize'", "[metric] unknown key 'direktion'; did you mean 'direction'?"),
        ("min_effects = 0.1", "[metric] unknown key 'min_effects'; did you mean 'min_effect'?"),
        ("tiemout = '3s'", "[metric] unknown key 'tiemout'; did you mean 'timeout'?"),
        ("patern = 'x'", "[metric] parser 'metric-line' has no option 'patern' (known: repeats)"),
        ("repeat = 'last'", "[metric] parser 'metric-line' has no option 'repeat'; did you mean 'repeats'?"),
        ("repeats = 'lst'", "[metric] repeats 'lst'; did you mean 'last'?"),
        ("parser = 'rgex'", "[metric] unknown parser 'rgex'; did you mean 'regex'?"),
        ("parser = 'regex'", "[metric] parser 'regex' needs the option `pattern`"),
        ("parser = 'regex'\npattern = '('", "[metric] pattern '(' is no regular expression"),
        ("parser = 'hyperfine'\nstat = 'avg'", "[metric] unknown stat 'avg'"),
        (
            "direction = 'minimise'",
            "direction must be one of minimize, maximize, not 'minimise'; did you mean",
        ),
        (
            "duet = true\nnoise = 'deterministic'",
            '[metric] duet = true is for noise = "timing", not "deterministic"',
        ),
        ("noise = 'costy'", "[metric] noise must be one of timing, deterministic, costly, not 'costy'"),
        ("min_effect = '1 %'", "[metric] min_effect must be a number, not '1 %'"),
        ("min_effect = -1", "[metric] min_effect must be zero or more, not -1.0"),
        ("min_effect = nan", "[metric] min_effect must be zero or more, not nan"),
        ("timeout = 'soon'", "[metric] timeout: not a duration: 'soon'; write it like 60s, 2m or 1.5h"),
        ("timeout = 0", "[metric] timeout: not a duration: '0'"),
        ("timeout = true", "[metric] timeout: not a duration"),
        ("env = { A = 1 }", '[metric] env must hold strings, like { A = "1" }'),
        ("file = '../out'", "[metric] file '../out' lies outside the target's folder"),
        ("file = '/out'", "[metric] file '/out' lies outside the target's folder"),
        ("[[gate]]", "[gate] command is missing: what to run"),
        ("[[gate]]\ncomand = 'x'", "[gate] unknown key 'comand'; did you mean 'command'?"),
        ("[[gate]]\ncommand = ''", "[gate] command must be a command"),
        ("[[gate]]\ncommand = []", "[gate] command must be a command"),
        ("[[gate]]\ncommand = 'x'\nname = 3", "[gate] name must be a string, not 3"),
        ("[gate]\ncommand = 'x'", "gate must be written as [[gate]], once for each"),
        ("[[guard]]\nmetric = 'mb'", "[guard] max_ratio or min_ratio is missing"),
        ("[[guard]]\nmetric = 'mb'\nmax_ratio = 0", "[guard] max_ratio must be more than 0, not 0.0"),
        ("[[guard]]\nmax_ratio = 1.1", "[guard] metric is missing"),
        ("[holdout]\ntimeout = 3", "[holdout] command is missing"),
        ("[holdout]\ncommand = 'true'\npeeks = 0", "[holdout] peeks must be 1 or more, not 0"),
        ("[holdout]\ncommand = 'true'\nfiles = ['x.py']", "[holdout] file 'x.py' is not there"),
        ("[holdout]\ncommand = 'true'\nfiles = ['../x']", "[holdout] file '../x' is not there"),
        ("[holdout]\ncommand = 'true'\nfiles = ['main.py']", "[holdout] file 'main.py' is shown to prop"),
        ("[[gate]]\ncommand = 'true'\nname = 'hold-out'", "[gate] name 'hold-out' is taken by [holdout]"),
        ("[[gate]]\ncommand = 'true'\ntests = 0", "[gate] tests must be 1 or more, not 0"),
        ("[policy]\nalpha = 0", "[policy] alpha must lie between 0 and 0.5, not 0.0"),
        ("[policy]\naudit = 1", "[policy] audit must be more than 1, not 1.0"),
        ("[policy]\nkappa = -1", "[policy] kappa must be more than 0"),
        ("[policy]\nmax_pairs = 0", "[policy] max_pairs must be 1 or more"),
        ("[budget]\ncylce = '3s'", "[budget] unknown key 'cylce'; did you mean 'cycle'?"),
        ("[metrics]", "unknown key 'metrics'; did you mean 'metric'?"),
    ],
)
def test_a_mistake_after_the_metric_names_file_key_and_mend(tmp_path, more, said):
    with pytest.raises(TargetError) as error:
        load_target(write(tmp_path / "x", f"{MINIMAL}{more}\n"))
    assert str(error.value).startswith(f"{tmp_path / 'x' / 'target.toml'}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "[metric] is missing: name, command and direction of the number to improve"),
        ("editable = [", "not TOML: "),
        ("gaol = 'x'\n" + MINIMAL, "unknown key 'gaol'; did you mean 'goal'?"),
        (MINIMAL.replace('name = "m"', ""), "[metric] name is missing"),
        (MINIMAL.replace('["main.py"]', '"main.py"'), "editable must be a list of strings, like"),
        (MINIMAL.replace('["main.py"]', "[]"), "editable is missing"),
        (MINIMAL.replace('["main.py"]', "[3]"), "editable must be a list of strings"),
        (MINIMAL.replace("main.py", "man.py"), "editable file 'man.py' is not there"),
        (
            MINIMAL.replace("main.py", "../main.py"),
            "editable file '../main.py' lies outside the target's folder",
        ),
        (MINIMAL.replace("main.py", "/etc/passwd"), "editable file '/etc/passwd' lies outside"),
        (MINIMAL.replace("main.py", "link.py"), "editable file 'link.py' lies outside"),
        (MINIMAL.replace("main.py", "target.toml"), "'target.toml' is the judge; it cannot be editable"),
        (MINIMAL.replace("main.py", "conftest.py"), "the judge; it cannot be editable"),
        (MINIMAL.replace("main.py", "binary"), "editable file 'binary' is not UTF-8 text"),
        ("context = ['no.md']\n" + MINIMAL, "context file 'no.md' is not there"),
        ("name = 'a b'\n" + MINIMAL, "name 'a b' must be letters, digits"),
        ("name = '..'\n" + MINIMAL, "name '..' must be letters, digits"),
        ("files_per_change = 0\n" + MINIMAL, "files_per_change must be 1 or more, not 0"),
        ("metric = 3\neditable = ['main.py']", "metric must be a table, not 3"),
    ],
)
def test_a_mistake_at_the_top_names_file_key_and_mend(tmp_path, toml, said):
    folder = write(tmp_path / "x", toml)
    (tmp_path / "outside.py").write_text("")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "conftest.py").touch()
    with pytest.raises(TargetError) as error:
        load_target(folder)
    assert str(error.value).startswith(f"{folder / 'target.toml'}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("TARGET = 3", "defines no TARGET = Target(...)"),
        ("raise ValueError('no')", "ValueError: no"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def", "SyntaxError"),
    ],
)
def test_a_broken_target_py_is_one_line_that_names_it(tmp_path, code, said):
    (tmp_path / "target.py").write_text(code)
    with pytest.raises(TargetError, match=r"target\.py: ") as error:
        load_target(tmp_path)
    assert said in str(error.value)


def test_a_target_py(tmp_path):
    (tmp_path / "main.py").write_text("")
    (tmp_path / "target.py").write_text(
        "from pathlib import Path\n"
        "from optiloop.model import Command, Metric, Target\n"
        "TARGET = Target('mine', Path(__file__).parent, ('main.py',), Metric('m', Command('true')))\n"
    )
    assert load_target(tmp_path).name == "mine"
    assert not (tmp_path / "__pycache__").exists()


def test_finding(tmp_path):
    write(tmp_path / "mine")
    assert find_target("mine", here=tmp_path).name == "mine"
    assert find_target(str(tmp_path / "mine"), here=Path("/")).name == "mine"
    with pytest.raises(UsageError, match="did you mean 'text_processor'"):
        find_target("text_procesor", here=tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        find_target("mine/main.py", here=tmp_path)
    with pytest.raises(TargetError, match=r"no target\.toml or target\.py there"):
        find_target(".", here=tmp_path)


def test_a_built_in_is_laid_out_once_and_then_the_users(tmp_path):
    said: list[str] = []
    target = begin_target("text_processor", here=tmp_path, say=said.append)
    assert target.root == (tmp_path / "text_processor").resolve()
    assert said == ["laid the built-in target text_processor out in ./text_processor"]
    (target.root / "README.md").write_text("mine")
    assert begin_target("text_processor", here=tmp_path, say=said.append).context == ("README.md",)
    assert (target.root / "README.md").read_text() == "mine"
    assert len(said) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text_processor"]


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_loads(tmp_path, name):
    assert begin_target(name, here=tmp_path, say=lambda _: None).name == name


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("2m", 120), ("1.5h", 5400), ("2d", 172800), ("500ms", 0.5), ("60", 60), (" 3 min ", 180)],
)
def test_durations(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "0", "1w", "1e3s", "inf", "nan", "1s2m"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


def test_the_sandbox_of_a_target(tmp_path):
    toml = f"""\
{MINIMAL}
[sandbox]
network = true
memory = "2GB"
processes = 8
disk = "1GiB"
read_only = ["../data"]
writable = ["/dev/null"]
cache = true
pass_env = ["CUDA_HOME"]
"""
    found = load_target(write(tmp_path / "x", toml)).sandbox
    assert found == Confinement(True, 2 * 10**9, 8, 2**30, ("../data",), ("/dev/null",), True, ("CUDA_HOME",))
    assert load_target(write(tmp_path / "y")).sandbox == Confinement()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("netwrk = true", "[sandbox] unknown key 'netwrk'; did you mean 'network'?"),
        ('network = "yes"', "[sandbox] network must be true or false, not 'yes'"),
        ('memory = "much"', "[sandbox] memory: not a size: 'much'; write it like 512MB or 4GiB"),
        ("processes = 0", "[sandbox] processes must be 1 or more, not 0"),
        ('pass_env = "A"', "[sandbox] pass_env must be a list of strings"),
    ],
)
def test_a_mistake_in_the_sandbox_is_told(tmp_path, line, said):
    with pytest.raises(TargetError) as error:
        load_target(write(tmp_path / "x", f"{MINIMAL}[sandbox]\n{line}\n"))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1", 1), ("2kB", 2000), ("1KiB", 1024), ("1.5 MB", 1_500_000), ("1G", 10**9), ("1Ti", 2**40)],
)
def test_a_size(text, bytes_):
    assert size(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-1", "1 XB", "GB"])
def test_no_size(text):
    with pytest.raises(ValueError, match="not a size"):
        size(text)


@pytest.mark.parametrize(
    ("command", "gate", "hidden"),
    [
        ("python held.py", "true", ("held.py",)),
        ("python held.py 3 main.py", "true", ("held.py",)),
        ("python held.py", "python held.py --quick", ()),
        ("python held.py", "python -m held", ()),
        ("python held.py", "python held_gate.py", ("held.py",)),
        ("cat cases held.py", "true", ("cases", "held.py")),
        ("python /etc/hostname ../held.py", "true", ()),
    ],
)
def test_the_hold_out_s_files_are_those_that_nobody_else_names(tmp_path, command, gate, hidden):
    folder = write(
        tmp_path / "x", f'{MINIMAL}\n[[gate]]\ncommand = "{gate}"\n[holdout]\ncommand = "{command}"\n'
    )
    (folder / "held.py").touch()
    (folder / "cases").mkdir()
    holdout = load_target(folder).holdout
    assert holdout is not None
    assert holdout.files == hidden


@pytest.mark.parametrize(
    ("command", "script", "found"),
    [
        ("python bench.py", "import main\n", "bench.py"),
        ("python bench.py", "from pkg.main import f\n", "bench.py"),
        ("python bench.py", "def run():\n    from pkg import main\n", "bench.py"),
        ("python main.py", "", "main.py"),
        ("python bench.py", "from optiloop import bench\nbench.main('main.py', [])\n", ""),
        ("python bench.py", "import mainly\n", ""),
        ("python bench.py", "not python", ""),
        ("python -m bench", "import main\n", ""),
    ],
)
def test_a_benchmark_that_runs_the_candidate_itself_is_noticed(tmp_path, command, script, found):
    folder = write(tmp_path / "x", MINIMAL.replace("python bench.py", command))
    (folder / "bench.py").write_text(script)
    assert forgeable(load_target(folder)) == found


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ("", "# Make it fast\n\nNo threads."),
        ('goal = " faster "\n', "faster\n\n# Make it fast\n\nNo threads."),
    ],
)
def test_program_md_belongs_to_the_goal(tmp_path, said, goal):
    folder = write(tmp_path / "x", said + MINIMAL)
    (folder / "program.md").write_text("# Make it fast\n\nNo threads.\n\n", encoding="utf-8")
    assert load_target(folder).goal == goal


def test_a_program_md_that_is_no_text_is_named(tmp_path):
    folder = write(tmp_path / "x", MINIMAL)
    (folder / "program.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match=r"program\.md: is not UTF-8 text"):
        load_target(folder)


def test_a_path_that_begins_with_a_variable_that_is_not_set_is_left_out(tmp_path, monkeypatch):
    toml = f'{MINIMAL}\n[sandbox]\nread_only = ["$OPTILOOP_SOME_MODELS"]\n'
    found = load_target(write(tmp_path / "x", toml))
    assert Sandbox.of(found, "process").read_only == ()
    monkeypatch.setenv("OPTILOOP_SOME_MODELS", str(tmp_path))
    assert Sandbox.of(found, "process").read_only == (tmp_path,)
    monkeypatch.setenv("OPTILOOP_SOME_MODELS", str(tmp_path / "gone"))
    with pytest.raises(TargetError, match="is not there"):
        Sandbox.of(found, "process")


def test_the_reference_says_what_is_read(monkeypatch):
    docs = Path(__file__).parents[1] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    import target_reference

    text = (docs / "targets.md").read_text()
    assert text == target_reference.written(text), "run python docs/target_reference.py"
    monkeypatch.delitem(target_reference.WORDS, "[budget] run")
    with pytest.raises(SystemExit, match=r"differ: \[budget\] run"):
        target_reference.reference()
