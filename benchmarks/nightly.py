"""The nightly workflows that `optiloop ci` writes, run step by step on this machine.

    python benchmarks/nightly.py

Each night is a fresh clone of a small repository. The YAML's own `run:` steps are run in order, with real
GITHUB_* files; what only GitHub has (checkout, cache, artifacts, pull requests, sudo) is replaced by the
stand-ins that are printed. Two keys are planted, one as the workflow's secret and one in the home folder, and
a candidate looks for them wherever it can read. The YAML is checked by the schemas of GitHub and GitLab where
check-jsonschema is installed. Ends with code 1 where a promise does not hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from optiloop.targets import load_target
from optiloop.workflows import write_workflow

ROOT = Path(__file__).parents[1]
KEY, HOME_KEY = "planted-key-of-a-model-77aa", "planted-key-of-the-home-88bb"

SCHEMAS = {
    "github-workflows": ".github/workflows/*.yml",
    "github-actions": ".github/actions/*/action.yml",
    "gitlab-ci": ".gitlab/*.yml",
}

TARGET_TOML = """\
name = "small"
editable = ["program.py"]

[[gate]]
name = "valid"
command = "python judge.py --check"
timeout = "60s"

[metric]
name = "cost"
command = "python judge.py"
noise = "deterministic"
timeout = "60s"
"""
PROGRAM = """\
DEPTH = 2  # range: 1..6
MODE = "slow"  # choices: slow, fast
"""
JUDGE = """\
import sys

import program

if "--check" not in sys.argv:
    print(f"METRIC cost={1 + abs(program.DEPTH - 4) + 5 * (program.MODE == 'slow')}")
"""
SPY = """\
import hashlib
import os
import re
import sys
from pathlib import Path

DEPTH, MODE = 4, "fast"
WANTED = {wanted}
PLACES = ("/proc", ".", "/root", "/home", "/tmp", "/run", "..", "../..", "/etc", "/var")


def texts():
    yield "environment", repr(dict(os.environ)).encode()
    for place in map(Path, PLACES):
        depth = len(place.parts) + 8
        for folder, folders, files in os.walk(place):
            if len(Path(folder).parts) > depth:
                folders.clear()
            for name in files:
                file = Path(folder, name)
                if str(file).startswith("/proc") and name not in ("environ", "cmdline"):
                    continue
                try:
                    with file.open("rb") as opened:
                        yield str(file), opened.read(200_000)
                except OSError:
                    continue


looked, found = 0, []
for where, text in texts():
    looked += 1
    tokens = set(re.findall(rb"[A-Za-z0-9-]{{12,}}", text))
    found += [where for token in tokens if hashlib.sha256(token).hexdigest() in WANTED]
    if looked == 10_000:
        break
print(f"LOOKED {{looked}} FOUND {{len(found)}} {{found[:3]}}")
sys.exit(1)
"""


# --- stand-ins for what only GitHub has ------------------------------------------------------------------

STAND_INS = {
    "actions/checkout": "git clone of a bare repository",
    "actions/setup-python": "a new virtual environment",
    "actions/cache/restore": "a folder by key",
    "actions/cache/save": "the same folder",
    "actions/upload-artifact": "a folder by name",
    "actions/download-artifact": "the same folder",
    "sudo": "a script that runs nothing: bubblewrap is here already",
    "gh": "a script that writes pull requests to a file",
    "pip install optiloop": "pip install of this checkout",
}
GH = """\
#!/bin/bash
# gh pr edit BRANCH --title T --body-file F | gh pr create --base B --head H --title T --body-file F
if [ "$2" = edit ]; then head=$3; [ -f "{pulls}/${{head//\\//_}}" ] || exit 1; fi
while [ $# -gt 0 ]; do
  case "$1" in --head) head=$2;; --title) title=$2;; --body-file) body=$2;; esac; shift
done
{{ echo "$title"; cat "$body"; }} >"{pulls}/${{head//\\//_}}"
"""


@dataclass
class Hub:
    """What stays between jobs: the repository, caches, artifacts, pull requests, secrets, the tools."""

    folder: Path
    secrets: Mapping[str, str]
    clock: int = 0

    def __post_init__(self) -> None:
        for name in ("caches", "artifacts", "pulls", "bin", "home", "venv"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "home" / ".netrc").write_text(f"password {HOME_KEY}\n")
        self._tool("sudo", '#!/bin/bash\necho "sudo: $*"\n')
        self._tool("gh", GH.format(pulls=self.folder / "pulls"))
        venv = self.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        # What optiloop needs is taken from the environment that runs this, optiloop itself is installed anew.
        site = next(venv.glob("lib/*/site-packages"))
        (site / "needs.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")) + "\n")

    def _tool(self, name: str, text: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def tick(self) -> int:
        """The number of the next run."""
        self.clock += 1
        return self.clock


# --- a small reader of workflows -------------------------------------------------------------------------


def evaluated(expression: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression: names with dots, 'texts', ==, &&, || and always()."""
    for sign in ("||", "&&", "=="):
        if sign in expression:
            left, right = (evaluated(part, context) for part in expression.split(sign, 1))
            return {"||": left or right, "&&": left and right, "==": left == right}[sign]
    word = expression.strip()
    if word.startswith("'"):
        return word.strip("'")
    if word == "always()":
        return True
    value: Any = context
    for part in word.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


def filled(value: Any, context: Mapping[str, Any]) -> str:
    """A YAML value as a text, its expressions evaluated."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluated(match[1], context)), text)


def outputs_in(file: Path) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT."""
    return {m[1]: m[3] for m in re.finditer(r"^(.+?)<<(.+)\n([\s\S]*?)\n\2$", file.read_text(), re.M)}


@dataclass
class Job:
    """One job in a fresh workspace of its own."""

    hub: Hub
    event: Mapping[str, Any]
    workspace: Path
    temp: Path
    failed: bool = False
    steps: dict[str, Any] = field(default_factory=dict)
    trusted: list[str] = field(default_factory=list)
    """Steps that saw the key."""

    def environment(self) -> dict[str, str]:
        """What each step sees: files of GitHub's, and nothing of this program's own environment."""
        bins = (
            self.hub.folder / "bin",
            self.hub.folder / "venv" / "bin",
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
        )
        named = {
            name: self.temp / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
        }
        return {
            "PATH": ":".join(map(str, bins)),
            "HOME": str(self.hub.folder / "home"),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(self.temp),
            "PIP_NO_BUILD_ISOLATION": "false",  # pip's way to say yes: hatchling is here
            "PIP_NO_DEPS": "true",
            **{name: str(file) for name, file in named.items()},
        }

    def run(self, steps: list[dict[str, Any]], inputs: Mapping[str, Any], results: dict[str, Any]) -> None:
        """Run steps in order; after a failure only those that say always()."""
        for step in steps:
            context = {**self.event, "inputs": inputs, "steps": results, "runner": {"temp": str(self.temp)}}
            if self.failed and "always()" not in str(step.get("if", "")):
                continue
            if "uses" in step:
                found = self.use(step["uses"], step.get("with", {}), context)
            else:
                found = self.shell(step, context)
            if "id" in step:
                results[step["id"]] = {"outputs": found}

    def shell(self, step: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
        """Run a `run:` step as GitHub does, with its own env on top."""
        env = self.environment()
        env |= {name: filled(value, context) for name, value in step.get("env", {}).items()}
        if "PACKAGE" in env:
            env["PACKAGE"] = str(ROOT)
        script = filled(step["run"], context).replace("install -q optiloop\n", f"install -q {ROOT}\n")
        script = re.sub(r"install -q optiloop$", f"install -q {ROOT}", script)
        output = self.temp / "github_output"
        output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.workspace,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        name = step.get("name", script.splitlines()[0])
        print(f"  {'failed' if done.returncode else 'ok'}: {name}")
        if KEY in env.values():
            self.trusted.append(name)
        if done.returncode:
            self.failed = True
            print(done.stdout[-2000:] + done.stderr[-2000:])
        return outputs_in(output)

    def use(self, action: str, given: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
        """Run an action of the repository's own, or the stand-in of one of GitHub's."""
        values = {name: filled(value, context) for name, value in given.items()}
        if action.startswith("./"):
            found = yaml.safe_load((self.workspace / action / "action.yml").read_text())
            defaults = {name: one.get("default", "") for name, one in found["inputs"].items()}
            results: dict[str, Any] = {}
            self.run(found["runs"]["steps"], {**defaults, **values}, results)
            return {k: filled(one["value"], {"steps": results}) for k, one in found["outputs"].items()}
        name = action.partition("@")[0]
        acts: dict[str, Callable[[Mapping[str, str]], None]] = {
            "actions/checkout": self.checkout,
            "actions/setup-python": lambda values: None,
            "actions/cache/restore": self.restore,
            "actions/cache/save": self.save,
            "actions/upload-artifact": self.upload,
            "actions/download-artifact": self.download,
        }
        acts[name](values)
        return {}

    def checkout(self, values: Mapping[str, str]) -> None:
        """A clone. Of actions/checkout's options only the depth is real here."""
        assert values["fetch-depth"] == "0"
        git("clone", "-q", str(self.hub.folder / "origin.git"), str(self.workspace))

    def restore(self, values: Mapping[str, str]) -> None:
        """The cache of that key, else the newest whose key begins so."""
        caches = sorted((self.hub.folder / "caches").iterdir(), key=lambda it: it.stat().st_mtime_ns)
        fits = [it for it in caches if it.name.startswith(values["restore-keys"].replace("/", "|"))]
        if fits:
            shutil.copytree(fits[-1], self.workspace / values["path"], symlinks=True)

    def save(self, values: Mapping[str, str]) -> None:
        """Keep a folder under a key, once."""
        cache = self.hub.folder / "caches" / values["key"].replace("/", "|")
        shutil.copytree(self.workspace / values["path"], cache, symlinks=True)
        os.utime(cache)

    def upload(self, values: Mapping[str, str]) -> None:
        """Keep files below the folder that all the paths share."""
        paths = values["path"].split()
        fixed = [Path(path.partition("*")[0]) for path in paths]
        top = Path(os.path.commonpath(fixed)) if len(fixed) > 1 else fixed[0].parent
        folder = self.hub.folder / "artifacts" / values["name"]
        shutil.rmtree(folder, ignore_errors=True)
        for path in paths:
            for found in self.workspace.glob(path):
                to = folder / found.relative_to(self.workspace / top)
                to.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if found.is_dir() else shutil.copy2)(found, to)

    def download(self, values: Mapping[str, str]) -> None:
        """Lay an artifact's files into a folder."""
        shutil.copytree(self.hub.folder / "artifacts" / values["name"], values["path"], dirs_exist_ok=True)


def night(hub: Hub, workflow: str, **inputs: str) -> dict[str, Job]:
    """Run a workflow's jobs in order, each in a fresh clone; without inputs the schedule began it."""
    number = hub.tick()
    first = hub.folder / f"night-{number}"
    git("clone", "-q", str(hub.folder / "origin.git"), str(first / "read"))
    found = yaml.safe_load((first / "read" / workflow).read_text())
    jobs: dict[str, Job] = {}
    needs: dict[str, Any] = {}
    print(f"\nnight {number}: {workflow} {inputs or 'by its schedule'}")
    for name, wanted in found["jobs"].items():
        github = {"run_id": number, "run_attempt": 1, "token": "a token", "ref_name": "main"}
        secrets = hub.secrets if "secrets." in str(wanted) else {}
        event = {"github": github, "secrets": secrets, "needs": needs}
        if any(jobs[it].failed for it in [wanted.get("needs")] if it) or not evaluated(
            wanted.get("if", "always()"), event
        ):
            print(f" job {name}: not run")
            continue
        print(f" job {name}")
        temp = first / name / "temp"
        temp.mkdir(parents=True)
        job = jobs[name] = Job(hub, event, first / name / "work", temp)
        job.run(wanted["steps"], inputs, job.steps)
        told = {k: filled(v, {"steps": job.steps}) for k, v in wanted.get("outputs", {}).items()}
        needs[name] = {"outputs": told}
    return jobs


# --- the repository, and what must be true --------------------------------------------------------------


def git(*words: str, cwd: Path | None = None) -> str:
    """What a git command prints. Raises CalledProcessError where it fails."""
    who = ("-c", "user.name=a user", "-c", "user.email=user@localhost", "-c", "init.defaultBranch=main")
    return subprocess.run(("git", *who, *words), cwd=cwd, check=True, capture_output=True, text=True).stdout


def founded(hub: Hub) -> None:
    """A repository with a target, the workflows that `optiloop ci` writes, and the spy's line beside it."""
    work = hub.folder / "author"
    git("init", "-q", str(work))
    for name, text in {"target.toml": TARGET_TOML, "program.py": PROGRAM, "judge.py": JUDGE}.items():
        (work / "small").mkdir(exist_ok=True)
        (work / "small" / name).write_text(text)
    target = load_target(work / "small")
    write_workflow(target, "portfolio", "nightly")
    written = work / ".github/workflows/optiloop-small.yml"
    written.rename(written.with_name("nightly.yml"))
    write_workflow(target, "portfolio", "batch")
    written.rename(written.with_name("batch.yml"))
    write_workflow(target, "portfolio", "gitlab")
    line = {"path": "program.py", "text": spy(), "hypothesis": "faster, by reading the keys of the house"}
    (work / "spy.jsonl").write_text(json.dumps(line) + "\n")
    git("add", ".", cwd=work)
    git("commit", "-qm", "A small target", cwd=work)
    git("clone", "-q", "--bare", str(work), str(hub.folder / "origin.git"))


def spy() -> str:
    """A candidate that looks for the planted keys; it knows them by their digests alone."""
    return SPY.format(wanted={hashlib.sha256(key.encode()).hexdigest() for key in (KEY, HOME_KEY)})


def spied(text: str) -> tuple[int, int]:
    """Files that the spy read, and those that held a key. Raises where it did not say."""
    match = re.search(r"LOOKED (\d+) FOUND (\d+)", text)
    if match is None:
        raise AssertionError(f"the spy said nothing: {text[-500:]!r}")
    return int(match[1]), int(match[2])


def faults(hub: Hub) -> str:
    """What GitHub's and GitLab's schemas find wrong with what was written."""
    work, said = hub.folder / "author", ""
    for schema, pattern in SCHEMAS.items():
        files = [str(file) for file in work.glob(pattern)]
        words = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        said += done.stdout + done.stderr if done.returncode or not files else ""
    return said


def leaks(hub: Hub) -> list[str]:
    """Files of caches, artifacts, pull requests and the repository that hold a planted key."""
    found = []
    for kind in ("caches", "artifacts", "pulls", "origin.git"):
        for file in (hub.folder / kind).rglob("*"):
            if file.is_file() and any(key.encode() in file.read_bytes() for key in (KEY, HOME_KEY)):
                found.append(str(file.relative_to(hub.folder)))
    return found


def promises(hub: Hub) -> Iterator[tuple[str, bool]]:
    """Each promise, and whether it holds."""
    if find_spec("check_jsonschema") is None:
        print("check-jsonschema is not installed: the YAML is not checked by its schema")
    else:
        wrong = faults(hub)
        print(wrong)
        yield "the workflows fit their schemas", wrong == ""
    nightly, batch = (f".github/workflows/{name}.yml" for name in ("nightly", "batch"))
    first = night(hub, nightly)
    optimize = first["optimize"]
    made = optimize.steps["night"]["outputs"]
    print("  outputs", made)
    yield "night 1 ends well", not any(job.failed for job in first.values())
    yield "night 1 improves", made["improved"] == "true" and int(made["keeps"]) > 0
    summary = (optimize.temp / "github_step_summary").read_text()
    yield "the job's summary tells the gain", "better" in summary and "small" in summary
    origin = hub.folder / "origin.git"
    pushed = git("log", "--format=%s%n%b", "main..optiloop-nightly/small", cwd=origin)
    print("  pushed", git("log", "--oneline", "main..optiloop-nightly/small", cwd=origin).strip())
    yield "its branch holds measured commits", '"status":"keep"' in pushed
    pull = (hub.folder / "pulls" / "optiloop-nightly_small").read_text()
    print("  pull request", pull[:700].replace("\n", "\n    "))
    yield "its pull request tells ratio and what did not work", "better" in pull and "not work" in pull
    second = night(hub, nightly, proposer=f"replay:{hub.folder / 'author' / 'spy.jsonl'}")
    after = second["optimize"].steps["night"]["outputs"]
    yield "night 2 goes on with the log", int(after["experiments"]) == int(made["experiments"]) + 1
    artifacts = hub.folder / "artifacts/optiloop-night/small/artifacts"
    said = "".join(
        file.read_text() for file in artifacts.rglob("*") if file.is_file() and "LOOKED" in file.read_text()
    )
    looked, found = spied(said)
    bare = subprocess.run(
        [sys.executable, "-c", spy()],
        cwd=hub.folder / "home",
        capture_output=True,
        text=True,
        env={"PATH": "", "KEY": KEY},
        check=False,
    )
    print(f"  the spy read {looked} files and found {found} keys; without a sandbox {spied(bare.stdout)}")
    yield "the spy looks, and finds no key", looked > 10 and found == 0
    yield "the same spy without a sandbox finds it", spied(bare.stdout)[1] > 0
    yield "one step sees the key", optimize.trusted == ["Run"]
    author = hub.folder / "author"
    (author / "small/judge.py").write_text(f"# Another judge.\n{JUDGE}")
    git("commit", "-qam", "Judge otherwise", cwd=author)
    git("push", "-q", str(origin), "main", cwd=author)
    third = night(hub, batch, candidates="4")
    yield "a batch ends well", not any(job.failed for job in third.values())
    propose, evaluate = third["propose"], third["evaluate"]
    own = propose.workspace / ".optiloop" / "small"
    yield "its first job measures nothing", own.is_dir() and not (own / "baseline.json").exists()
    yield "only its first job sees the key", propose.trusted == ["Propose"] and not evaluate.trusted
    measured = int(evaluate.steps["night"]["outputs"]["experiments"])
    yield "another judge begins another campaign, of the candidates alone", measured == 4
    yield "no planted key is in any cache, artifact, pull request or commit", leaks(hub) == []


def main() -> None:
    """Print the stand-ins, run the nights, and say what holds."""
    print("stand-ins for what only GitHub has:")
    for name, what in STAND_INS.items():
        print(f"  {name}: {what}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="optiloop-nightly-") as folder:
        hub = Hub(Path(folder), {"OPENAI_API_KEY": KEY})
        founded(hub)
        told = list(promises(hub))
    print()
    for what, holds in told:
        print(f"{'holds ' if holds else 'BROKEN'}  {what}")
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(0 if all(holds for _, holds in told) else 1)


if __name__ == "__main__":
    main()
