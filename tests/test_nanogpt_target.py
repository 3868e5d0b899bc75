"""The target nanogpt: its data, its clock, and that its judge refuses what only looks like learning."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from optiloop import knobs
from optiloop.loop import Engine
from optiloop.targets import lay_out, load_target
from optiloop.testing import ScriptedProposer

TARGET = Path(__file__).parents[1] / "targets" / "nanogpt"

with_data = pytest.mark.skipif(
    find_spec("tiktoken") is None or find_spec("numpy") is None,
    reason="the data of nanogpt needs numpy and tiktoken: pip install 'optiloop[nanogpt]'",
)
with_torch = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "numpy", "tiktoken"))),
    reason="training needs torch: pip install 'optiloop[nanogpt]'",
)


@pytest.fixture
def prepare(monkeypatch):
    monkeypatch.syspath_prepend(TARGET)
    return import_module("prepare")


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.syspath_prepend(TARGET)
    return import_module("clock")


@pytest.fixture
def profiles(monkeypatch):
    monkeypatch.syspath_prepend(TARGET)
    return import_module("profiles")


def run(script: str, *words: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the target's programs to its end."""
    line = [sys.executable, "-B", str((folder or TARGET) / script), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def changed(file: Path, *pairs: tuple[str, str], start: str = "train.py") -> Path:
    """A copy of a starting point with some of its text replaced."""
    source = (TARGET / start).read_text()
    for old, new in pairs:
        assert source.count(old) == 1
        source = source.replace(old, new)
    file.write_text(source)
    return file


def test_the_definition_holds_and_hides_its_hold_out():
    target = load_target(TARGET)
    assert target.editable == ("train.py",)
    assert target.holdout is not None
    assert target.holdout.files == ("holdout.py",)


@pytest.mark.parametrize("name", ["train.py", "modern.py"])
def test_every_constant_is_a_knob_with_a_range(name):
    source = (TARGET / name).read_text()
    constants = re.findall(r"^([A-Z_0-9]+) = [\dTF]", source, re.M)
    found = {knob.name: knob for knob in knobs.find(name, source) if knob.annotated}
    assert len(constants) >= 14
    assert set(constants) <= set(found)
    assert all(knob.domain.holds(knob.value) for knob in found.values())


# --- data -----------------------------------------------------------------------------------------------


@with_data
def test_a_file_belongs_to_a_part_by_what_it_says(prepare, tmp_path):
    for number in range(200):
        (tmp_path / f"m{number}.py").write_text(f"x = {number}\n")
    (tmp_path / "again.py").write_text("x = 7\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "t.py").write_text("left out\n")
    (tmp_path / "moved").mkdir()
    corpus = prepare.read_corpus(tmp_path)
    sizes = {name: len(texts) for name, texts in corpus.parts.items()}
    assert sum(sizes.values()) == 200
    assert sizes["train"] > 150
    assert min(sizes.values()) > 0
    (tmp_path / "m3.py").rename(tmp_path / "moved" / "other.py")
    assert prepare.read_corpus(tmp_path).digest == corpus.digest
    (tmp_path / "m4.py").write_text("x = 4000\n")
    assert prepare.read_corpus(tmp_path).digest != corpus.digest


@with_data
def test_tokens_say_the_text_and_how_long_it_is(prepare):
    texts = [b"def f(x):\n    return  x + 12345 # \xc3\xa9\t\n\n", b"import os\n"]
    encoding = prepare.tokenizer()
    separator = encoding.n_vocab
    tokens = prepare.encode(texts, encoding, separator=separator)
    starts = [at for at, token in enumerate(tokens) if token == separator]
    assert starts[0] == 0
    assert encoding.decode_bytes(tokens[1 : starts[1]].tolist()) == texts[0]
    assert prepare.token_bytes(encoding)[tokens].sum() == sum(map(len, texts))
    assert len(tokens) < sum(map(len, texts)) / 1.5


@with_data
def test_the_tokenizer_joins_what_is_frequent_and_is_trained_alike_each_time(prepare):
    draw = random.Random(1)
    texts = [" ".join(draw.choice(["return", "self", "other"]) for _ in range(400)).encode()]
    ranks = prepare.train_ranks(texts, size=271)
    assert len(ranks) == 271
    assert {b" return", b" self"} <= set(ranks)
    assert prepare.train_ranks(texts, size=271) == ranks


@with_data
def test_prepared_data_is_whole_or_refused(prepare, tmp_path):
    source = tmp_path / "text"
    source.mkdir()
    words = random.Random(2)
    tale = "".join(f"once upon a {words.choice(['time', 'hill', 'sea'])} {n}\n" for n in range(9000))
    (source / "tales.txt").write_text(
        "<|endoftext|>".join(tale[at : at + 900] for at in range(0, 90_000, 900))
    )
    (source / "more.jsonl").write_text('{"text": "' + "a single line " * 9 + '"}\n')
    (source / "picture.png").write_bytes(b"\0\0\1")
    folder = prepare.prepare(source, tmp_path / "cache", vocabulary=300)
    data = prepare.read_data(folder)
    assert data.vocabulary == 300
    whole = sum(int(data.sizes[data.part(part, None)].sum()) for part in prepare.PARTS)
    assert whole == len(b"".join(set(prepare.documents(source))))
    assert prepare.prepare(source, tmp_path / "cache", vocabulary=300) == folder
    with (folder / "validation.npy").open("ab") as file:
        file.write(b"\1\0")
    with pytest.raises(prepare.DataError, match="not those that its name says"):
        prepare.read_data(folder)


@with_data
def test_a_long_text_is_divided_and_nothing_of_it_lost(prepare, tmp_path):
    text = b"".join(b"line %d of a book\n" % number for number in range(20_000))
    (tmp_path / "book.txt").write_bytes(text)
    blocks = list(prepare.documents(tmp_path / "book.txt"))
    assert b"".join(blocks) == text
    assert len(blocks) > 4


@with_data
def test_what_cannot_be_read_says_what_to_do(tmp_path):
    refused = run("prepare.py", "--dataset", "https://example.invalid/x.txt")
    assert refused.returncode == 1
    assert "add --fetch" in refused.stderr
    refused = run("prepare.py", "--dataset", tmp_path / "nothing")
    assert "no such file or folder" in refused.stderr
    (tmp_path / "x.parquet").write_bytes(b"")
    if find_spec("pyarrow") is None:
        assert "pip install pyarrow" in run("prepare.py", "--dataset", tmp_path / "x.parquet").stderr


@with_data
def test_a_url_is_fetched_once(prepare, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("some text")
    url = (tmp_path / "a.txt").as_uri()
    file = prepare.fetched(url, tmp_path / "cache")
    assert file.read_text() == "some text"
    (tmp_path / "a.txt").unlink()
    assert prepare.fetched(url, tmp_path / "cache") == file
    assert (
        "sha256 b94f6f125c79e3a5ffaa826f584c10d52ada669e6762051b826b55776d05aed2" in capsys.readouterr().out
    )


# --- the profiles ---------------------------------------------------------------------------------------


def test_a_machine_gets_the_largest_profile_that_it_holds(profiles):
    chosen = [
        profiles.profile_for(profiles.Machine(*facts)).name
        for facts in [
            ("cpu",),
            ("mps",),
            ("cuda", "NVIDIA GeForce RTX 4090", 23.6),
            ("cuda", "NVIDIA A100-SXM4-40GB", 40.0),
            ("cuda", "NVIDIA H100 80GB HBM3", 79.1),
        ]
    ]
    assert chosen == ["cpu", "consumer", "consumer", "h100", "h100"]
    assert profiles.Machine("cuda", "NVIDIA H100 PCIe", 79.1).peak_flops == 756e12
    assert profiles.Machine("cuda", "something new", 79.1).peak_flops is None


@pytest.mark.parametrize("text", ["", "0s", "steps=", "hours=3", "ten", "wall=-1s"])
def test_what_is_no_budget_is_refused(profiles, text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no budget"):
        profiles.read_budget(text)


def test_budgets_are_read(profiles):
    assert profiles.read_budget("10s") == profiles.Budget(10.0, "virtual")
    assert profiles.read_budget("wall=300s") == profiles.Budget(300.0, "wall")
    assert profiles.read_budget("steps=30") == profiles.Budget(30.0, "steps")


@with_torch
def test_first_steps_are_free_up_to_a_limit(clock):
    ticks = [0.0, 60.0, *(60.0 + step for step in range(1, 21))]
    assert clock.charged(ticks, 120.0) == pytest.approx(11)
    assert clock.charged(ticks, 0.0) == pytest.approx(80)
    assert clock.charged(ticks, 20.0) == pytest.approx(60)
    assert clock.charged(ticks[:1], 0.0) == 0


# --- the clock ------------------------------------------------------------------------------------------


def steps_for(clock, width: int, budget: float = 0.05) -> int:
    import torch

    torch.set_num_threads(1)
    weights = torch.ones(width, width, requires_grad=True)
    running = clock.Clock(budget, "virtual", report=lambda share, loss: None)
    for _ in running:
        loss = (weights @ weights).tanh().mean()
        loss.backward()
        running.record(loss)
    return running.steps


@with_torch
def test_a_cheaper_step_earns_more_steps_the_same_number_each_time(clock):
    small, large = steps_for(clock, 32), steps_for(clock, 256)
    assert small > 4 * large > 0
    assert steps_for(clock, 32) == small


@with_torch
def test_a_loss_that_is_no_number_ends_the_run(clock):
    import torch

    running = clock.Clock(40, "steps", report=lambda share, loss: None)
    steps = iter(running)
    next(steps)
    running.record(torch.tensor(float("nan")))
    next(steps)
    with pytest.raises(clock.Diverged, match="the loss is nan at step 2"):
        next(steps)


# --- the modern start -----------------------------------------------------------------------------------


@pytest.fixture
def modern(monkeypatch):
    monkeypatch.syspath_prepend(TARGET)
    module = import_module("modern")
    monkeypatch.setattr(module, "WINDOWS", True)
    return module


@with_torch
def test_a_window_hides_what_is_longer_ago(modern):
    import torch

    torch.manual_seed(0)
    layer = modern.Attention(0)
    torch.nn.init.normal_(layer.out.weight)
    turn = modern.GPT(64).cosine, modern.GPT(64).sine
    first = torch.randn(1, modern.SEQUENCE, modern.WIDTH)
    other = first.clone()
    other[:, 3] += 1.0
    moved = (layer(first, None, turn) - layer(other, None, turn)).abs().amax(dim=(0, 2))
    assert moved[:3].max() == 0
    assert moved[3 : 3 + layer.window].min() > 0
    assert moved[3 + layer.window :].max() == 0
    assert modern.Attention(modern.DEPTH - 1).window == modern.SEQUENCE


@with_torch
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_flexible_attention_is_the_same_windows(modern):
    import torch

    torch.manual_seed(0)
    layer = modern.Attention(0)
    torch.nn.init.normal_(layer.out.weight)
    turn = modern.GPT(64).cosine, modern.GPT(64).sine
    x = torch.randn(2, modern.SEQUENCE, modern.WIDTH)
    with torch.no_grad():  # going back is for GPUs only
        masked = layer(x, None, turn)
        layer.seen = modern.blocks(modern.SEQUENCE, layer.window, x.device)
        assert torch.allclose(layer(x, None, turn), masked, atol=1e-5)


SHUT_IN = """
import subprocess, sys, sysconfig, tempfile, torch
from pathlib import Path

import judge
import worker

worker.warm()
print("compiles in", torch._inductor.config.compile_threads)
torch.zeros = lambda *shape, device: None
worker.shut_in(str(Path("train.py").resolve()), "cuda")
subprocess.run([sys.executable, "-c", "import ast"], check=True)
header = Path(tempfile.gettempdir(), "a.c")
header.write_text("#include <Python.h>")
include = f"-I{sysconfig.get_path('include')}"
if sys.argv[1]:
    subprocess.run([sys.argv[1], "-fsyntax-only", include, str(header)], check=True)
try:
    Path(sys.argv[2]).read_text()
except PermissionError:
    print("closed")
"""


@with_torch
@pytest.mark.slow
def test_a_gpu_s_candidate_may_compile_and_read_nobody_s_files(tmp_path):
    (tmp_path / "secret").write_text("text that is judged")
    (tmp_path / "temporary").mkdir()
    line = [sys.executable, "-B", "-c", SHUT_IN, shutil.which("cc") or "", tmp_path / "secret"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    environment["PYTHONPATH"] = os.pathsep.join([str(TARGET), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(line, capture_output=True, text=True, cwd=TARGET, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "compiles in 1\nclosed\n"


# --- runs that are ended early --------------------------------------------------------------------------


def test_ending_hopeless_runs_saves_time_and_loses_no_winner(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    nanogpt = import_module("nanogpt")
    runs = nanogpt.recorded()
    found = nanogpt.replayed(list(itertools.permutations(runs, 2)), nanogpt.noise(runs))
    assert found.runs == len(runs) * (len(runs) - 1) >= 600
    assert found.lost == 0
    assert found.share > 0.1
    assert nanogpt.replayed(list(itertools.permutations(runs, 2)), 10.0).ended == 0


# --- the judge ------------------------------------------------------------------------------------------


@with_torch
@pytest.mark.slow
def test_a_run_repeats_bit_by_bit(tmp_path):
    windows = changed(tmp_path / "w.py", ("WINDOWS = False", "WINDOWS = True"), start="modern.py")
    first, second = (run("judge.py", "--budget", "0.2s", "--train", windows) for _ in range(2))
    assert first.returncode == 0, first.stderr
    said = re.findall(r"^METRIC (val_bpb|num_steps|num_params_M)=(.*)", first.stdout, re.M)
    assert len(said) == 3
    assert 1 < float(dict(said)["val_bpb"]) < 5
    assert said == re.findall(r"^METRIC (val_bpb|num_steps|num_params_M)=(.*)", second.stdout, re.M)
    shares = [float(share) for share in re.findall(r"^PARTIAL at=(\S+) val_bpb=", first.stdout, re.M)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    summary = first.stdout.partition("---\n")[2]
    upstream = ("val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent")
    for name in (*upstream, "total_tokens_M", "num_steps", "num_params_M", "depth"):
        assert re.search(rf"^{name}:\s+[\d.]+$", summary, re.M), name


BEFORE = "    for progress in clock:"
REFUSED = {
    "the model sees its targets": (("is_causal=True", "is_causal=False"), "uses what comes later"),
    "windows of a batch are mixed": (
        (
            "        return F.linear(self.norm(x)",
            "        x = x + x.mean(dim=(0, 1))\n        return F.linear(self.norm(x)",
        ),
        "uses what comes later",
    ),
    "the corpus is read": (
        (BEFORE, f"    open(torch.random.__file__.replace('torch/random', 'ast'))\n{BEFORE}"),
        "Error",
    ),
    "another process is started": (
        (BEFORE, f"    __import__('os').execv('/bin/true', ['true'])\n{BEFORE}"),
        "PermissionError",
    ),
    "a number is printed": (
        (BEFORE, f"    print('METRIC val_bpb=0.1', flush=True)\n    exit(0)\n{BEFORE}"),
        "SystemExit",
    ),
    "nothing is learnt but nan": (("loss = F.cross", "loss = float('nan') * F.cross"), "the loss is nan"),
    "it diverges": (("loss = F.cross", "loss = 1e4 * F.cross"), "diverged: the loss is"),
    "it takes too much memory": (
        (BEFORE, f"    torch.empty(1 << 50)\n{BEFORE}"),
        "out of memory: ",
    ),
    "it is killed": (
        (BEFORE, f"    __import__('os').kill(__import__('os').getpid(), 9)\n{BEFORE}"),
        "its process was killed",
    ),
    "it crashes": ((BEFORE, f"    model.nothing()\n{BEFORE}"), "no attribute 'nothing'"),
    "it goes on after its time": (
        ("        clock.record(loss)\n", "        clock.record(loss)\n    __import__('time').sleep(4.5)\n"),
        "goes on after its time",
    ),
    "it hangs": (
        ("WIDTH = HEADS *", "__import__('time').sleep(60)\nWIDTH = HEADS *"),
        "silent for 2 s: it hangs",
    ),
}
CHECKS = """
import contextlib, io, json, sys
from argparse import Namespace
from pathlib import Path
import judge

files = [Path(word) for word in sys.argv[1:]]
chosen = Namespace(profile=judge.PROFILES["cpu"], budget=None, dataset=None)
said = {}
with judge.bench(judge.RUN * len(files), chosen) as found:
    for file in files:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found.crew.patience_s = 2.0 if file.stem == "it hangs" else 120.0
            try:
                if file.stem == "it goes on after its time":
                    tokens = found.data.part("train", 4096)
                    judge.train(found.crew, file, found.data, tokens, judge.Budget(1.0, "wall"), seed=0)
                else:
                    judge.check(found.crew, file, found.data)
            except SystemExit as end:
                err.write(str(end))
        said[file.stem] = out.getvalue(), err.getvalue()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What the gate said of both starts and of each sleight: in one process, for torch takes long to load."""
    folder = tmp_path_factory.mktemp("candidates")
    files = [TARGET / "train.py", TARGET / "modern.py"]
    files += [changed(folder / f"{name}.py", replaced) for name, (replaced, _) in REFUSED.items()]
    line = [sys.executable, "-B", "-c", CHECKS, *map(str, files)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(TARGET), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@with_torch
@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "modern"])
def test_both_starting_points_pass_the_gate(checked, name):
    assert checked[name][0].startswith("ok"), checked[name][1]


@with_torch
@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_the_judge_refuses(checked, name):
    out, err = checked[name]
    assert out == ""
    assert REFUSED[name][1] in err.splitlines()[-1]


@with_torch
@pytest.mark.slow
def test_wall_seconds_are_counted_by_the_judge_and_end_a_training():
    done = run("judge.py", "--budget", "wall=1s")
    assert done.returncode == 0, done.stderr
    numbers = dict(re.findall(r"^METRIC (\w+)=(.*)", done.stdout, re.M))
    assert float(numbers["training_seconds"]) >= 1


@with_torch
def test_the_starting_point_of_a_profile_is_laid_out(profiles):
    laid_out = import_module("judge").start_of(profiles.PROFILES["h100"])
    laid = {knob.name: knob.value for knob in knobs.find("train.py", laid_out)}
    assert laid["DEPTH"] * laid["HEADS"] * laid["HEAD_SIZE"] == 8 * 512
    assert laid["BATCH"] * laid["ACCUMULATE"] * laid["SEQUENCE"] == 2**19
    compile(laid_out, "train.py", "exec")


def test_the_train_py_that_ships_is_known(profiles):
    shipped = (TARGET / "train.py").read_bytes()
    assert hashlib.sha256(shipped).hexdigest() == profiles.SHIPPED, "write the new digest into profiles.py"


@with_torch
@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "own", "said"),
    [
        ("consumer", "", "nanogpt: begins from modern.py (profile consumer)"),
        (
            "consumer",
            "# mine\n",
            "nanogpt: begins from your own train.py, not from modern.py (profile consumer)",
        ),
        ("cpu", "", None),
    ],
)
def test_a_campaign_begins_from_its_profile_s_start(tmp_path, monkeypatch, profile, own, said):
    folder = tmp_path / "nanogpt"
    lay_out(TARGET, folder)
    with (folder / "train.py").open("a") as file:
        file.write(own)
    lies = (folder / "train.py").read_text()
    monkeypatch.setenv("NANOGPT_PROFILE", profile)
    with Engine.opened(load_target(folder), ScriptedProposer()) as engine:
        assert engine.notes() == ([said] if said else [])
        begun = engine.workspace.source()["train.py"]
    assert (begun != lies) == (profile == "consumer" and not own)
    assert ("class Muon" in begun) == (begun != lies)
    assert (folder / "train.py").read_text() == lies


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is here")
def test_without_torch_the_judge_names_the_extra():
    refused = run("judge.py", "--check")
    assert refused.returncode == 1
    assert "pip install 'optiloop[nanogpt]'" in refused.stderr
