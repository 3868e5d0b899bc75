"""The target nanogpt: its data, its clock, and that its judge refuses what only looks like learning."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from optiloop import knobs
from optiloop.targets import load_target

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


def judge(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the judge to its end."""
    line = [sys.executable, "-B", str(TARGET / "judge.py"), *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def changed(folder: Path, *pairs: tuple[str, str]) -> Path:
    """A copy of train.py with some of its text replaced."""
    source = (TARGET / "train.py").read_text()
    for old, new in pairs:
        assert source.count(old) == 1
        source = source.replace(old, new)
    (folder / "train.py").write_text(source)
    return folder / "train.py"


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
    tokens = prepare.encode(texts)
    starts = [at for at, token in enumerate(tokens) if token == prepare.SEPARATOR]
    assert starts[0] == 0
    assert prepare.tokenizer().decode_bytes(tokens[1 : starts[1]].tolist()) == texts[0]
    assert prepare.token_bytes()[tokens].sum() == sum(map(len, texts))
    assert len(tokens) < sum(map(len, texts)) / 1.5


@with_data
def test_the_tokenizer_joins_what_is_frequent_and_is_trained_alike_each_time(prepare):
    draw = random.Random(1)
    texts = [" ".join(draw.choice(["return", "self", "other"]) for _ in range(400)).encode()]
    ranks = prepare.train_ranks(texts, size=275)
    assert len(ranks) == 275
    assert {b" return", b" self"} <= set(ranks)
    assert prepare.train_ranks(texts, size=275) == ranks


# --- the clock ------------------------------------------------------------------------------------------


def steps_for(clock, width: int, budget: float = 0.05) -> int:
    import torch

    weights = torch.ones(width, width, requires_grad=True)
    running = clock.Clock(budget, by_steps=False, report=lambda share, loss: None)
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

    running = clock.Clock(40, by_steps=True, report=lambda share, loss: None)
    steps = iter(running)
    next(steps)
    running.record(torch.tensor(float("nan")))
    next(steps)
    with pytest.raises(clock.Diverged, match="the loss is nan at step 2"):
        next(steps)


# --- the judge ------------------------------------------------------------------------------------------


@with_torch
@pytest.mark.slow
def test_both_starting_points_pass_and_a_run_repeats_bit_by_bit():
    assert judge("--check").stdout.startswith("ok")
    first, second = (judge("--budget", "0.2s", "--train", TARGET / "modern.py") for _ in range(2))
    assert first.returncode == 0, first.stderr
    said = re.findall(r"^METRIC (val_bpb|num_steps|num_params_M)=(.*)", first.stdout, re.M)
    assert len(said) == 3
    assert 1 < float(dict(said)["val_bpb"]) < 5
    assert said == re.findall(r"^METRIC (val_bpb|num_steps|num_params_M)=(.*)", second.stdout, re.M)
    shares = [float(share) for share in re.findall(r"^PARTIAL at=(\S+) val_bpb=", first.stdout, re.M)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


SLEIGHTS = {
    "the model sees its targets": (("is_causal=True", "is_causal=False"), "uses what comes later"),
    "windows of a batch are mixed": (
        (
            "        return F.linear(self.norm(x)",
            "        x = x + x.mean(dim=(0, 1))\n        return F.linear(self.norm(x)",
        ),
        "uses what comes later",
    ),
    "the corpus is read": (
        (
            "    for progress in clock:",
            "    open(torch.random.__file__.replace('torch/random', 'ast'))\n    for progress in clock:",
        ),
        "Error",
    ),
    "another process is started": (
        (
            "    for progress in clock:",
            "    __import__('os').execv('/bin/true', ['true'])\n    for progress in clock:",
        ),
        "PermissionError",
    ),
    "a number is printed": (
        (
            "    for progress in clock:",
            "    print('METRIC val_bpb=0.1', flush=True)\n    exit(0)\n    for progress in clock:",
        ),
        "SystemExit",
    ),
    "nothing is learnt but nan": (("loss = F.cross", "loss = float('nan') * F.cross"), "the loss is nan"),
}


@with_torch
@pytest.mark.slow
@pytest.mark.parametrize("name", SLEIGHTS)
def test_the_judge_refuses(tmp_path, name):
    replaced, reason = SLEIGHTS[name]
    refused = judge("--check", "--train", changed(tmp_path, replaced))
    assert refused.returncode == 1
    assert reason in refused.stderr.splitlines()[-1]
    assert "METRIC" not in refused.stdout


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is here")
def test_without_torch_the_judge_names_the_extra():
    refused = judge("--check")
    assert refused.returncode == 1
    assert "pip install 'optiloop[nanogpt]'" in refused.stderr
