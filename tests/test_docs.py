"""Every command in README.md and docs/ is there with its options, and runs, but for those with a reason.

A command is a line of a block that begins with `optiloop` or `$ `. It is run on small targets of the names
that the docs use; where it runs experiments, one of them. Python in README.md and some docs is run, too.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from test_cli import call

from optiloop.cli import cli

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    r"(ollama|openai|anthropic|local|agent):": "needs a model, an agent or a key",
    r"^optiloop serve-model": "needs a model, and serves until it is ended",
    r"nanogpt": "needs torch, and minutes a cycle",
    r"vault|reflection": "needs a model, or a folder: tests/test_vault_adopt.py, benchmarks/vault.py",
    r"primes": "needs a compiler, and somebody in an editor: tests/test_wrap.py",
    r"^optiloop run tour": "needs the example package: benchmarks/plugin.py",
    r"^optiloop (memory retract|ask \S+ ('|.*--(tried|best-before|common|avoid|helped|as-of) ))": "names "
    "what one log holds: tests/test_memory_index.py",
    r"^optiloop (import|log|report) \S*\.(tsv|jsonl)": "reads other people's file: tests/test_imports.py",
    r"\[|\.\.\.|…| T\b| TARGET\b": "has placeholders: only its options are checked",
    r"^optiloop run my_target --proposer replay:": "goes on after a line that needs a model",
}
"""Commands, as regular expressions, that are only checked against the command line, and why."""

TARGET = """\
name = "{name}"
editable = ["program.py"]

[[gate]]
command = "python judge.py --check"

[metric]
name = "cost"
command = "python judge.py"
noise = "deterministic"

[budget]
run = "1m"
"""
FILES = {
    "program.py": 'DEPTH = 2  # range: 1..3\nMODE = "slow"  # choices: slow, fast\n',
    "judge.py": "import sys\nimport program\nif '--check' not in sys.argv:\n"
    "    print('METRIC cost=' + str(9 - program.DEPTH + (program.MODE == 'slow')))\n",
}


@dataclass(frozen=True)
class Line:
    """A command of the docs, and where it stands."""

    text: str
    where: str

    @property
    def not_run(self) -> str:
        """Why it is not run; empty where it is."""
        return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, self.text)), "")


def blocks(file: Path) -> Iterator[tuple[int, str, bool]]:
    """Lines of blocks, with their number, and whether a fence holds them."""
    fence = False
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fence = not fence
        elif fence or line.startswith("    "):
            yield number, line.strip(), fence


def lines() -> Iterator[Line]:
    for file in DOCS:
        for number, text, fence in blocks(file):
            if text.startswith("$ ") or (text.startswith("optiloop ") and not fence):
                said = re.split(r"\s{2,}", text.removeprefix("$ "))[0]  # what follows says what it does
                for part in re.split(r" && | \| ", said):
                    if part.startswith("optiloop "):
                        yield Line(part, f"{file.name}:{number}")


def spans() -> Iterator[Line]:
    """Commands in running text, between backticks."""
    for file in DOCS:
        text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
        for match in re.finditer(r"`([^`]*\boptiloop [a-z][^`]*)`", text):
            for part in re.split(r" && | \\?\| ", " ".join(match[1].split())):
                if re.match(r"optiloop [a-z-]+( |$)", part):
                    yield Line(part, file.name)


LINES = list(dict.fromkeys(lines()))


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words name, and the words after it. Raises AssertionError where there is none."""
    found: click.Command = cli
    while isinstance(found, click.Group):
        assert words[0] in found.commands, f"there is no command {words[0]!r}"
        found, words = found.commands[words[0]], words[1:]
    return found, words


def unknown_options(text: str) -> list[str]:
    """Options of a command line that its command does not have."""
    words = shlex.split(re.sub(r"[\[\]]", " ", text), comments=True)[1:]
    if not words or words[0].startswith("-"):
        return []
    found, rest = command_of(words)
    known = {name for param in found.params for name in param.opts} | {"--help", "-h"}
    return [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]


@pytest.mark.parametrize("line", [*LINES, *spans()], ids=lambda line: f"{line.where} {line.text[:40]}")
def test_its_options_exist(line: Line) -> None:
    assert unknown_options(line.text) == []


def test_an_option_or_a_command_that_does_not_exist_is_found() -> None:
    assert unknown_options("optiloop run my_target --cycle 3 [--jason]") == ["--cycle", "--jason"]
    with pytest.raises(AssertionError, match="no command 'ran'"):
        unknown_options("optiloop ran my_target")


def test_the_docs_hold_commands() -> None:
    assert len([line for line in LINES if not line.not_run]) >= 40
    assert {"README.md", "ci.md", "running.md", "plugins.md"} <= {
        line.where.partition(":")[0] for line in LINES
    }


def test_each_reason_is_needed() -> None:
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line.text) for line in LINES), f"no command is like {pattern}"


def test_programs_that_the_docs_name_are_there() -> None:
    named = {name for file in DOCS for name in re.findall(r"python (benchmarks/\S+?\.py)", file.read_text())}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what the docs name: targets with a campaign each, sources, another project."""
    here = tmp_path_factory.mktemp("docs")
    for folder in ("my_target", "targets/text_processor", "text_processor", "../other_project"):
        where = here / folder
        where.mkdir(parents=True)
        name = where.name if folder != "text_processor" else "text_processor-2"
        for file, text in {**FILES, "target.toml": TARGET.format(name=name)}.items():
            (where / file).write_text(text)
    (here / "src").mkdir()
    shutil.copy(ROOT / "targets/text_processor/text_processor.py", here / "src")
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "small targets")):
        subprocess.run(("git", *words), cwd=here, check=True)
    for folder in ("my_target", "targets/text_processor", "text_processor", "../other_project"):
        assert call("run", folder, "--cycles", "3", here=here).code == 0
    return here


def clear(world: Path) -> None:
    """Take away what an earlier command made, and would refuse to make again."""
    shutil.rmtree(world / ".github", ignore_errors=True)
    git = ("git", "-C", str(world))
    made = subprocess.run(
        (*git, "branch", "--list", "faster", "opt-*"), capture_output=True, text=True, check=True
    )
    for branch in made.stdout.split():
        subprocess.run((*git, "branch", "-qD", branch), check=True)


@pytest.mark.parametrize("line", [line for line in LINES if not line.not_run], ids=lambda line: line.where)
def test_it_runs(line: Line, world: Path, tmp_path: Path) -> None:
    words = shlex.split(line.text, comments=True)[1:]
    here = tmp_path if words[0] == "new" else world
    clear(world)
    if words[0] == "run":
        words = [*words, "--cycles", "1"]
    ended = call(*words, here=here)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("file", ["README.md", "docs/python.md", "docs/plugins.md"])
def test_its_python_runs(file: str, world: Path) -> None:
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / file).read_text(encoding="utf-8"), re.M | re.S)
    assert found
    for text in found:
        done = subprocess.run(
            [sys.executable, "-c", text], cwd=world, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
