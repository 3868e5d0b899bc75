"""Coding agents as proposers: real scripts, honest and hostile, in a copy. The loop goes on after each.

Whatever an agent does, the champion is the engine's alone, and the user's files are as they were.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from test_sandbox_levels import need, until

from optiloop.errors import AllowanceError, ProposerError, ProposerGoneError, UsageError
from optiloop.loop import Engine
from optiloop.memory.history import History, as_recall
from optiloop.model import (
    Allowance,
    Brief,
    Command,
    Experiment,
    Metric,
    Proposal,
    Proposer,
    Seconds,
    Status,
)
from optiloop.proposers import find_proposer
from optiloop.proposers.agent import DROPPED, LARGEST, Agent
from optiloop.proposers.known_agents import AGENTS, Told, installed
from optiloop.targets import load_target
from optiloop.testing import (
    TOY_EDITABLE,
    ProposerContract,
    brief_of,
    experiment_of,
    toy_text,
    write_toy_target,
)

GOOD = "echo VALUE=50 > value.sh\necho 'hypothesis: half is less'\necho 'family: Smaller Numbers'\n"
HASTY, PATIENT = Seconds(3.0), Seconds(60.0)


@dataclass
class Yard:
    """A toy target with tests in a repository of the user's, and a folder beside it that is not its own."""

    folder: Path
    level: str = "process"

    @property
    def target(self) -> Path:
        return self.folder / "repository" / "toy"

    @property
    def canary(self) -> Path:
        return self.folder / "beside" / "canary"

    def write(self, **words: object) -> None:
        files = {
            "test_value.sh": "exit 0\n",
            "helper.sh": "true\n",
            "holdout.sh": ". ./value.sh\n# SECRET-CASES\n",
        }
        more = '[holdout]\ncommand = ["/bin/sh", "holdout.sh"]\n'
        write_toy_target(self.target, files=files, more=more)
        toml = self.target / "target.toml"
        two = f'files_per_change = {words.get("files_per_change", 1)}\neditable = ["value.sh", "helper.sh"]'
        toml.write_text(toml.read_text().replace('editable = ["value.sh"]', two))
        self.canary.parent.mkdir()
        self.canary.write_text("alive")
        for line in ("init -q", "add -A", "-c user.name=u -c user.email=u@x commit -qm all"):
            subprocess.run(["git", *line.split()], cwd=self.target.parent, check=True)

    def agent(self, script: str, *, limit: Seconds = PATIENT, program: str = "/bin/sh") -> Agent:
        file = self.folder / f"agent-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
        file.write_text(script.replace("BESIDE", str(self.canary.parent)).replace("TARGET", str(self.target)))
        return Agent(f"{program} {file}", limit=limit)

    def opened(self, proposer: Proposer) -> AbstractContextManager[Engine]:
        return Engine.opened(load_target(self.target), proposer, sandbox=self.level)

    def users(self) -> dict[str, bytes]:
        """All that is the user's: the checkout, what git has of theirs, and what lies beside."""
        folders = (self.target, self.canary.parent)
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        git = [self.target.parent / ".git" / name for name in ("HEAD", "index", "config", "logs/HEAD")]
        heads = (self.target.parent / ".git" / "refs" / "heads").glob("ma*")
        return {str(file): file.read_bytes() for file in (*files, *git, *heads)}

    def papers(self, experiment: Experiment) -> str:
        """What people can read of an agent's work."""
        files = (self.target.parent / ".optiloop" / "toy" / "artifacts" / experiment.id).glob("agent-*.txt")
        return "".join(file.read_text() for file in files)


@pytest.fixture(params=["process", "bwrap"])
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def yard(level: str, tmp_path: Path) -> Yard:
    made = Yard(tmp_path, need(level))
    made.write()
    return made


@pytest.fixture
def plain_yard(tmp_path: Path) -> Yard:
    made = Yard(tmp_path)
    made.write()
    return made


# --- what agents do, and how it ends -----------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An agent, how its experiment ends, why, and what its papers say."""

    script: str
    status: Status
    reason: str = ""
    papers: str = ""
    program: str = "/bin/sh"
    limit: Seconds = PATIENT


NOTHING, KEEP = Status.NO_PROPOSAL, Status.KEEP
PLAIN = "left value.sh as something that is no plain file"
FOREVER = "while :; do sleep 0.1; done"
FLOOD = "head -c 200000000 /dev/zero | tr '\\0' x"
MAZE = "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nos.chmod('.', 0)\n"
COMMIT = "git add -A && git -c user.name=a -c user.email=a@b commit -qm mine"
DAEMON = "setsid sh -c 'trap \"\" TERM HUP; sleep 1357' >/dev/null 2>&1 &"
COLOURS = "printf '\\033]0;title\\007hypothesis: \\033[31mred\\033[0m \\033[2J\\342\\200\\256 and plain\\n'"
DELETED = "deleted gate.sh, deleted test_value.sh"
CASES = {
    "makes one change": Case(GOOD, KEEP),
    "breaks the program": Case("echo VALUE=x > value.sh", Status.GATE_FAILED, "not a number"),
    "makes it worse": Case("echo VALUE=200 > value.sh", Status.DISCARD),
    "deletes tests": Case(f"rm test_value.sh gate.sh\n{GOOD}", KEEP, papers=DELETED),
    "only deletes tests": Case(
        "rm test_value.sh", NOTHING, "it said nothing; dropped beside that: deleted test_value.sh"
    ),
    "edits the benchmark": Case(
        "echo 'echo METRIC score=1' > score.sh; echo VALUE=150 > value.sh",
        Status.DISCARD,
        papers="changed score.sh",
    ),
    "only edits the benchmark": Case("echo true > score.sh", NOTHING, "changed score.sh"),
    "commits": Case(f"git init -q .\n{COMMIT}\n{GOOD}", KEEP, papers="created .git/"),
    "commits where it should not": Case(f"{COMMIT}; git push\n{GOOD}", KEEP),
    "runs forever": Case(FOREVER, NOTHING, "changed nothing; killed at its limit of 3 s", limit=HASTY),
    "runs forever after its change": Case(f"{GOOD}{FOREVER}", KEEP, papers="killed at", limit=HASTY),
    "ignores SIGTERM": Case(f"trap '' TERM HUP INT\n{FOREVER}", NOTHING, "killed at its limit", limit=HASTY),
    "leaves a daemon": Case(f"{DAEMON}\n{GOOD}", KEEP, papers="behind: "),
    "says nothing": Case("exit 0", NOTHING, "changed nothing; it said nothing"),
    "fails": Case("echo 'no key' >&2; exit 1", NOTHING, r"failed \(exit 1\); it said: no key"),
    "fails with a change": Case(f"{GOOD}exit 1", NOTHING, r"failed \(exit 1\); it said: family: Smaller"),
    "dies": Case(f"{GOOD}kill -9 $$", NOTHING, r"failed \((exit 137|killed by SIGKILL)\)"),
    "floods": Case(FLOOD, NOTHING, "killed: more than 64 MB of output"),
    "floods its errors": Case(f"{FLOOD} >&2", NOTHING, "more than 64 MB of output"),
    "writes binary": Case("printf 'VALUE=\\377' > value.sh", NOTHING, "with bytes that are not UTF-8"),
    "writes a link": Case("ln -sf TARGET/target.toml value.sh", NOTHING, PLAIN),
    "writes a folder": Case("rm value.sh; mkdir value.sh", NOTHING, PLAIN),
    "writes a pipe": Case("rm value.sh; mkfifo value.sh", NOTHING, PLAIN),
    "deletes it": Case("rm value.sh", NOTHING, "left value.sh unreadable"),
    "writes too much": Case(
        f"head -c {LARGEST + 1} /dev/zero > value.sh", NOTHING, "left value.sh larger than"
    ),
    "edits two files": Case(
        f"{GOOD}echo false > helper.sh", NOTHING, r"edited 2 files \(.*\); one change may edit 1"
    ),
    "speaks in colours": Case(f"{COLOURS}; echo VALUE=60 > value.sh", KEEP),
    "moves the cursor in the file": Case(
        "printf 'VALUE=60 # \\033[2J\\n' > value.sh", Status.VIOLATION, "U[+]001B"
    ),
    "writes beside, renames": Case("echo VALUE=70 > .value.sh.tmp; mv .value.sh.tmp value.sh", KEEP),
    "makes many files": Case(
        "i=0; while [ $i -lt 300 ]; do : > f$i; i=$((i + 1)); done", NOTHING, "created f101 and 196 more$"
    ),
    "makes a maze": Case(MAZE, NOTHING, "created d/$", program=sys.executable),
}
AT_EACH_LEVEL = {
    *("makes one change", "commits where it should not", "deletes tests", "edits the benchmark"),
    *("ignores SIGTERM", "leaves a daemon", "floods", "writes a link", "makes a maze"),
}
"""Agents whose end is the level's; the others' is the proposer's."""


@pytest.mark.parametrize(
    ("level", "name"),
    [*(("process", name) for name in CASES), *(("bwrap", name) for name in CASES if name in AT_EACH_LEVEL)],
)
def test_whatever_an_agent_does_the_loop_goes_on(yard: Yard, name: str) -> None:
    case, before = CASES[name], yard.users()
    with yard.opened(yard.agent(case.script, program=case.program, limit=case.limit)) as engine:
        first = engine.cycle()
        champion = engine.workspace.source()[TOY_EDITABLE]
        engine.proposer = yard.agent("echo VALUE=7 > value.sh\necho 'hypothesis: seven'\n")
        second = engine.cycle()
    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (case.status, Status.KEEP), (first.reason, second.reason)
    assert first.origin.startswith("agent:/bin/sh ") or case.program == sys.executable
    if case.reason:
        assert re.search(case.reason, first.reason), first.reason
    assert (champion == toy_text(100)) is (case.status is not Status.KEEP)
    papers = yard.papers(first)
    assert case.papers in papers
    assert len(papers) < 200_000
    assert "\x1b" not in papers + first.hypothesis + first.reason
    assert yard.users() == before
    assert DROPPED not in first.tags or "dropped: nothing" not in papers
    assert (DROPPED in first.tags) is (
        case.status is not Status.NO_PROPOSAL and "dropped: nothing" not in papers
    )


def test_its_words_are_plain_and_its_family_is_a_word(plain_yard: Yard) -> None:
    with plain_yard.opened(plain_yard.agent(GOOD)) as engine:
        found = engine.cycle()
    assert found is not None
    assert (found.hypothesis, found.family) == ("half is less", "smaller-numbers")
    assert found.cost.seconds > 0
    assert (found.cost.usd, found.cost.tokens) == (0, 0)


def test_what_it_started_is_dead(yard: Yard) -> None:
    mark = f"{os.getpid()}97531"
    script = f"setsid sh -c 'trap \"\" TERM HUP; sleep {mark}' >/dev/null 2>&1 &\nsleep {mark} & wait"
    with yard.opened(yard.agent(script, limit=Seconds(1.0))) as engine:
        engine.cycle()
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if line.startswith("sleep") and mark in line]


# --- what it sees ------------------------------------------------------------------------------------


def proposed(yard: Yard, script: str, **words: object) -> Proposal:
    """What an agent proposes in a campaign's first cycle."""
    with yard.opened(yard.agent(script)) as engine:
        brief = engine.brief(engine.workspace.source(), engine.workspace.head(), engine.history())
        found = engine.proposer.propose(replace(brief, **words))  # type: ignore[arg-type]
    assert found is not None
    return found


LOOK = 'exec 3>value.sh\nsay() { echo "# $*" >&3; }\necho VALUE=1 >&3\n'


def test_it_gets_the_brief_as_its_stdin(yard: Yard) -> None:
    text = proposed(yard, "cat > value.sh").edits[TOY_EDITABLE]
    assert "# Metric" in text
    assert "copy of the folder" in text
    assert "hypothesis: one sentence" in text
    assert "SEARCH" not in text


def test_it_gets_the_brief_as_a_file_where_it_names_one(yard: Yard) -> None:
    agent = Agent('cat {brief} > value.sh; test -z "$(cat)"; echo {files}', limit=PATIENT)
    with yard.opened(agent) as engine:
        brief = engine.brief(engine.workspace.source(), engine.workspace.head(), engine.history())
        found = agent.propose(brief)
    assert found is not None
    assert "copy of the folder" in found.edits[TOY_EDITABLE]
    assert found.hypothesis == "value.sh helper.sh"


def test_its_copy_holds_no_hold_out_and_no_repository(yard: Yard) -> None:
    seen = proposed(
        yard, "ls -a | sed 's/^/# /' > list; echo VALUE=1 > value.sh; cat list >> value.sh"
    ).edits[TOY_EDITABLE]
    names = {line.removeprefix("# ") for line in seen.splitlines()}
    assert {"gate.sh", "score.sh", "value.sh", "target.toml"} <= names
    assert not names & {"holdout.sh", ".git", ".optiloop"}


@pytest.fixture
def lasting() -> Iterator[Path]:
    """A folder outside /tmp, of which a guest has its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="optiloop-test-") as folder:
        yield Path(folder)


def test_at_bwrap_it_sees_no_hold_out_and_writes_its_copy_only(
    lasting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(lasting, need("bwrap"))
    yard.write()
    home = lasting / "home"
    (home / ".claude").mkdir(parents=True)
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id").write_text("key")
    monkeypatch.setenv("HOME", str(home))
    script = LOOK + (
        "for f in TARGET/holdout.sh TARGET/../.git/HEAD TARGET/../.optiloop/toy/campaign.json ~/.ssh/id\n"
        "do cat $f >/dev/null 2>&1 && say read $f; done\n"
        "for f in TARGET/x TARGET/../x BESIDE/canary ~/x /usr/x /etc/x /var/tmp/x\n"
        "do (echo gone > $f) 2>/dev/null && say wrote $f; done\n"
        "echo state > ~/.claude/state && say state\n"
        "echo t > $TMPDIR/x && say private\n"
        "echo t > /tmp/optiloop-x && say tmp\n"
        "ls TARGET/.. | sed 's/^/# sees /' >&3\n"
    )
    text = proposed(yard, script).edits[TOY_EDITABLE]
    assert text.splitlines() == ["VALUE=1", "# state", "# private", "# tmp", "# sees toy"]
    assert (home / ".claude" / "state").read_text() == "state\n"
    assert yard.canary.read_text() == "alive"
    assert not Path("/tmp/optiloop-x").exists()


def test_at_process_it_can_write_elsewhere_but_the_campaign_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = Yard(tmp_path)
    yard.write()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with yard.opened(yard.agent(f"{GOOD}echo x > ~/notes; echo x > BESIDE/notes")) as engine:
        found = engine.cycle()
    assert found is not None
    assert found.status is Status.KEEP
    assert (tmp_path / "home" / "notes").exists()
    assert (yard.canary.parent / "notes").exists()


def test_it_has_the_users_environment_but_not_that_of_ci(
    plain_yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_back = ("GITHUB_ENV", "GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "CI_JOB_TOKEN", "GIT_DIR")
    for name in (*kept_back, "MY_SETTING"):
        monkeypatch.setenv(name, "there")
    names = " ".join((*kept_back, "MY_SETTING", "PATH", "HOME"))
    text = proposed(
        plain_yard, f'{LOOK}for n in {names}; do eval "v=\\$$n"; [ -z "$v" ] || say $n; done'
    ).edits[TOY_EDITABLE]
    assert text.splitlines() == ["VALUE=1", "# MY_SETTING", "# PATH", "# HOME"]


def test_a_secret_reaches_neither_the_log_nor_the_papers_nor_a_candidate(
    plain_yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "correct-horse-battery-staple"
    monkeypatch.setenv("MY_API_KEY", secret)
    loud = plain_yard.agent('echo "hypothesis: $MY_API_KEY"; echo $MY_API_KEY >&2; echo VALUE=4 > value.sh')
    sly = plain_yard.agent('echo "VALUE=3 # $MY_API_KEY" > value.sh; echo $MY_API_KEY; touch "$MY_API_KEY"')
    failing = plain_yard.agent("printf '%0490d' 0; echo $MY_API_KEY; exit 3")
    with plain_yard.opened(loud) as engine:
        found = [engine.cycle()]
        for engine.proposer in (sly, failing):
            found.append(engine.cycle())
    statuses = [experiment.status for experiment in found if experiment is not None]
    assert statuses == [Status.KEEP, Status.NO_PROPOSAL, Status.NO_PROPOSAL]
    home = plain_yard.target.parent / ".optiloop"
    written = [
        file for file in home.rglob("*") if file.is_file() and secret[:8] in file.read_text(errors="replace")
    ]
    assert not written


# --- money and time ----------------------------------------------------------------------------------


def brief_in(folder: Path, **words: object) -> Brief:
    known = replace(brief_of({"value.sh": toy_text(100)}), answers=folder / "answers")
    return replace(known, **words)  # type: ignore[arg-type]


def counted(folder: Path, then: str = "echo VALUE=50 > value.sh") -> Agent:
    """An agent that says in a file how often it was run."""
    return Agent(f"echo run >> {folder}/runs; {then}", limit=PATIENT)


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


def test_what_was_paid_for_is_not_paid_for_again(tmp_path: Path) -> None:
    first = counted(tmp_path).propose(brief_in(tmp_path))
    assert counted(tmp_path).propose(brief_in(tmp_path)) == first
    assert runs(tmp_path) == 1
    counted(tmp_path).propose(brief_in(tmp_path, seed=1))
    assert runs(tmp_path) == 2


def test_a_failure_is_not_paid_for_again_either(tmp_path: Path) -> None:
    said = set()
    for _ in range(2):
        with pytest.raises(ProposerError) as caught:
            counted(tmp_path, "echo sorry").propose(brief_in(tmp_path))
        said.add((str(caught.value), caught.value.cost))
    assert len(said) == 1
    assert runs(tmp_path) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from optiloop.loop import Engine
from optiloop.proposers.agent import Agent
from optiloop.targets import load_target
agent = Agent(sys.argv[2])
class Dying:
    name = agent.name
    def propose(self, brief):
        agent.propose(brief)
        os.kill(os.getpid(), signal.SIGKILL)
with Engine.opened(load_target(Path(sys.argv[1])), Dying(), sandbox="process") as engine:
    engine.cycle()
"""


def test_a_kill_between_the_answer_and_its_evaluation_costs_no_second_answer(plain_yard: Yard) -> None:
    command = f"echo run >> {plain_yard.folder}/runs; {GOOD.strip()}".replace("\n", "; ")
    done = subprocess.run([sys.executable, "-c", KILLED, str(plain_yard.target), command], check=False)
    assert done.returncode == -signal.SIGKILL
    with plain_yard.opened(Agent(command)) as engine:
        found = engine.cycle()
        assert found is not None
        assert found.status is Status.KEEP
        assert runs(plain_yard.folder) == 1
        engine.cycle()
    assert runs(plain_yard.folder) == 2


def test_an_agent_dies_with_its_engine(plain_yard: Yard) -> None:
    mark = f"{os.getpid()}86420"
    words = [sys.executable, "-c", KILLED, str(plain_yard.target), f"sleep {mark}"]
    engine = subprocess.Popen(words, env={**os.environ, "TMPDIR": str(plain_yard.folder)})

    def sleeps() -> bool:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return f"sleep {mark}" in listed.splitlines()

    try:
        assert until(sleeps)
    finally:
        engine.kill()
        engine.wait()
    assert until(lambda: not sleeps())


@pytest.mark.parametrize("left", [Allowance(seconds=0), Allowance(usd=0), Allowance(tokens=-1)])
def test_nothing_is_run_where_nothing_is_left(tmp_path: Path, left: Allowance) -> None:
    with pytest.raises(AllowanceError, match="nothing is left"):
        counted(tmp_path).propose(brief_in(tmp_path, allowance=left))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("left", [Allowance(usd=1), Allowance(tokens=1000)])
def test_a_limit_that_cannot_be_kept_is_no_limit(tmp_path: Path, left: Allowance) -> None:
    with pytest.raises(ProposerGoneError, match=r"does not tell what it uses, so --(usd|tokens) cannot"):
        counted(tmp_path).propose(brief_in(tmp_path, allowance=left))
    assert not (tmp_path / "runs").exists()


def test_the_runs_time_is_a_limit(tmp_path: Path) -> None:
    slow = Agent("sleep 600")
    with pytest.raises(ProposerError, match=r"changed nothing; killed at its limit of 0.5 s"):
        slow.propose(brief_in(tmp_path, allowance=Allowance(seconds=0.5)))


def test_a_missing_program_is_one_line_with_its_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProposerGoneError, match=r"no-such-agent.*put it on PATH"):
        Agent("no-such-agent --now").propose(brief_in(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(ProposerGoneError, match=r"codex is not installed: npm install"):
        Agent("codex").propose(brief_in(tmp_path))
    assert not list((tmp_path / "answers").iterdir())


# --- the known ones ----------------------------------------------------------------------------------

AIDER = (
    "Aider v0.86.2\nhypothesis: less\n\nTokens: 948 sent, 22 received.\nmore\n"
    "Tokens: 2.3k sent, 1.2k cache write, 200 received. Cost: $0.01 message,\n$0.02 session.\n"
)
SAYS = {
    "claude": (
        '{"type":"result","subtype":"success","is_error":false,"result":"hypothesis: less\\nfamily: f",'
        '"session_id":"x","total_cost_usd":0.0123,"usage":{"input_tokens":5,"output_tokens":42,'
        '"cache_creation_input_tokens":100,"cache_read_input_tokens":1000}}',
        Told("hypothesis: less\nfamily: f", 0.0123, 1105, 42),
    ),
    "codex": (
        '{"type":"thread.started","thread_id":"t"}\n{"type":"turn.started"}\n'
        '{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"thinking"}}\n'
        '{"type":"item.completed","item":{"id":"2","type":"agent_message","text":"hypothesis: less"}}\n'
        '{"type":"turn.completed","usage":{"input_tokens":900,"cached_input_tokens":800,'
        '"output_tokens":70}}\n',
        Told("hypothesis: less", 0.0, 900, 70),
    ),
    "gemini": (
        'Loaded cached credentials.\n{\n  "response": "hypothesis: less",\n  "stats": {\n    "models": {\n'
        '      "g": {"tokens": {"input": 60, "prompt": 100, '
        '"candidates": 20, "total": 150, "thoughts": 30}}\n'
        "    }\n  }\n}\n",
        Told("hypothesis: less", 0.0, 100, 50),
    ),
    "opencode": (
        '{"type":"step_start","part":{}}\n{"type":"text","part":{"type":"text","text":"hypothesis: less"}}\n'
        '{"type":"step_finish","part":{"cost":0.01,"tokens":{"input":10,"output":5,"reasoning":1,'
        '"cache":{"read":100,"write":4}}}}\n'
        '{"type":"step_finish","part":{"cost":0.02,"tokens":{"input":1,"output":1}}}\n',
        Told("hypothesis: less", 0.03, 115, 7),
    ),
    "aider": (AIDER, Told(AIDER, 0.02, 2300, 200)),
    "pi": (
        '{"type":"message_end","message":{"role":"user","content":[{"type":"text","text":"brief"}]}}\n'
        '{"type":"message_end","message":{"role":"assistant",'
        '"content":[{"type":"text","text":"hypothesis: less"}],"usage":{"input":10,'
        '"output":5,"cacheRead":3,"cacheWrite":2,'
        '"totalTokens":20,"cost":{"total":0.5}}}}\n',
        Told("hypothesis: less", 0.5, 15, 5),
    ),
}


@pytest.mark.parametrize("name", SAYS)
def test_what_a_known_agent_prints_is_understood(name: str) -> None:
    output, told = SAYS[name]
    assert AGENTS[name].told(output) == told


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize(
    "output",
    [
        *("", "words", "{", "{}", "[]", "null", "{\n" * 2000, '{"a":\n' * 5000),
        '{"type": 3, "usage": [], "part": 1, "item": 2, "message": [], "response": {}}',
        '{"total_cost_usd": NaN, "usage": {"input_tokens": -1, "output_tokens": "x"}}',
    ],
)
def test_whatever_a_known_agent_prints_its_cost_is_a_number(name: str, output: str) -> None:
    told = AGENTS[name].told(output)
    assert isinstance(told.said, str)
    assert math.isfinite(told.usd)
    assert told.usd >= 0
    assert min(told.tokens_in, told.tokens_out) >= 0


def stand_in(folder: Path, name: str, script: str) -> None:
    """A program of a known agent's name that prints what the real one prints."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", AGENTS)
def test_a_known_agent_is_run_by_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, told = SAYS[name]
    (tmp_path / "output").write_text(output)
    words = f'cd {tmp_path}; echo "$@" > words; cat > stdin; cat output'
    stand_in(tmp_path / "bin", name, f"echo VALUE=9 > value.sh; {words}")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert name in installed()
    agent = find_proposer(f"agent:{name}")
    found = agent.propose(brief_in(tmp_path))
    assert found is not None
    assert (agent.name, found.origin, found.hypothesis) == (f"agent:{name}", f"agent:{name}", "less")
    assert (found.cost.usd, found.cost.tokens) == (pytest.approx(told.usd), told.tokens_in + told.tokens_out)
    given = (tmp_path / "words").read_text()
    assert "{" not in given
    assert ("# Metric" in (tmp_path / "stdin").read_text()) is ("brief.md" not in given)
    assert ("value.sh" in given) is ("{files}" in AGENTS[name].line)


def test_claude_is_told_what_it_may_spend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path / "bin", "claude", f'echo "$@" > {tmp_path}/words; echo VALUE=9 > value.sh')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    Agent("claude").propose(brief_in(tmp_path, allowance=Allowance(usd=1.5)))
    assert "--max-budget-usd 1.50" in (tmp_path / "words").read_text()


def test_a_command_of_ones_own_is_understood_by_its_program(tmp_path: Path) -> None:
    (tmp_path / "output").write_text(SAYS["claude"][0])
    stand_in(tmp_path / "bin", "claude", f"echo VALUE=9 > value.sh; cat {tmp_path}/output")
    found = Agent(f"A=b {tmp_path}/bin/claude -p --model x").propose(brief_in(tmp_path))
    assert found is not None
    assert (found.hypothesis, found.cost.usd) == ("less", 0.0123)


def test_a_command_is_needed() -> None:
    with pytest.raises(UsageError, match="needs a command, or one of claude"):
        find_proposer("agent: ")
    with pytest.raises(UsageError, match="needs an argument"):
        find_proposer("agent")


def test_two_long_commands_have_two_names() -> None:
    names = {Agent("run " + "x" * 100 + end).name for end in "ab"}
    assert len(names) == 2
    assert max(map(len, names)) < 80


class TestContract(ProposerContract):
    """An agent that appends a line of its brief's digest: new each time, the same for the same brief."""

    steps = 2

    def sources(self) -> tuple[dict[str, str], ...]:
        return ({"program.py": "x = 1\n"}, {"words.txt": "no program\n"})

    def proposer(self) -> Proposer:
        script = (
            "import hashlib, os, sys\n"
            "number = int(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:6], 16)\n"
            "open(os.listdir()[0], 'a').write(f'y = {number}\\n')"
        )
        return Timeless(Agent(f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}"))


class Timeless:
    """A proposer whose proposals took no time, to be compared."""

    def __init__(self, inner: Proposer) -> None:
        self._inner = inner

    def propose(self, brief: Brief) -> Proposal | None:
        found = self._inner.propose(brief)
        return None if found is None else replace(found, cost=replace(found.cost, seconds=0.0))


def known_to_have_failed(value: float) -> History:
    metric = Metric("score", Command("true"))
    history = History(metric)
    tried = Proposal({"value.sh": toy_text(value)}, "less", "somebody")
    history.add(experiment_of(tried, {"value.sh": toy_text(100)}, status=Status.DISCARD))
    return history


def test_an_agent_that_repeats_what_failed_is_told_and_works_once_more(tmp_path: Path) -> None:
    brief = brief_in(tmp_path, recall=as_recall(known_to_have_failed(50)))
    line = "if grep -q 'tried already' {brief}; then echo VALUE=40.0; else echo VALUE=50; fi > value.sh"
    proposal = counted(tmp_path, line).propose(brief)
    assert proposal is not None
    assert proposal.edits == {"value.sh": toy_text(40.0)}
    assert any(tag.startswith("repeats:") for tag in proposal.tags)
    assert runs(tmp_path) == 2


def test_an_agent_that_insists_is_left_to_the_loop(tmp_path: Path) -> None:
    brief = brief_in(tmp_path, recall=as_recall(known_to_have_failed(50)))
    proposal = counted(tmp_path).propose(brief)
    assert proposal is not None
    assert proposal.edits == {"value.sh": "VALUE=50\n"}
    assert runs(tmp_path) == 2
