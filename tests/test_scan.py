"""`optiloop scan` and `optiloop rules`: what they find, how they say it, and that they run nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
from click.testing import CliRunner, Result

from optiloop.cli import cli
from optiloop.errors import LedgerError, UsageError
from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.model import DEMOTION, TAKES_BACK, Brief, Proposal, Spent, Status
from optiloop.proposers.rewrite.table import RULES
from optiloop.records import logs_of, read_records, spent_elsewhere
from optiloop.scan import as_sarif, files_under, scan_file
from optiloop.targets import load_target
from optiloop.testing import experiment_of, write_toy_target

NAIVE = """\
raise SystemExit("scan runs nothing")


def unique(words):
    out = []
    for word in words:
        if word not in out:
            out.append(word)
    return out
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files with smells, one that does not parse, and some that are nobody's business."""
    monkeypatch.chdir(tmp_path)
    texts = {
        "src/naive.py": NAIVE,
        "src/broken.py": "def f(:\n",
        "src/run.sh": "cat a.txt | grep x\n",
        "src/tool": "#!/bin/sh\nsort a | uniq\n",
        "src/notes.txt": "cat a.txt | grep x\n",
        ".venv/lib.py": NAIVE,
        "env/pyvenv.cfg": "",
        "env/lib.py": NAIVE,
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "src/latin.py").write_bytes(b"# \xe9\n")
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def test_a_scan_names_place_rule_idea_and_measured_effect(project: Path) -> None:
    done = invoke("scan", ".")
    assert done.exit_code == 0
    assert "src/naive.py:5: dedupe-loop in unique: repeats dropped" in done.stdout
    assert "x where it was measured)" in done.stdout
    assert "src/run.sh:1: cat-pipe: " in done.stdout
    assert "src/tool:2: sort-unique: " in done.stdout
    assert "notes" not in done.stdout
    assert "lib.py" not in done.stdout


def test_a_gain_that_nobody_measured_is_called_a_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("app.json").write_text('{"debug": true, "name": "x"}\n')
    assert "json-compact: " in (said := invoke("scan", ".").stdout)
    assert "1.3x at a guess" in said


def test_what_does_not_parse_is_named_skipped_and_counted(project: Path) -> None:
    done = invoke("scan", "src")
    assert "src/broken.py:1: skipped, not Python: invalid syntax" in done.stderr
    assert "src/latin.py:1: skipped, not UTF-8" in done.stderr
    assert "2 not parsed, skipped; rules only propose" in done.stderr
    assert invoke("scan", "src", "--json").exit_code == 0


def test_json_holds_smells_and_what_was_skipped(project: Path) -> None:
    found = json.loads(invoke("scan", "src", "--json").stdout)
    assert {smell["rule"] for smell in found["smells"]} >= {"dedupe-loop", "cat-pipe", "sort-unique"}
    assert {"path", "line", "function", "rule", "what", "gain", "measured"} == set(found["smells"][0])
    assert [unread["path"] for unread in found["unread"]] == ["src/broken.py", "src/latin.py"]
    assert found["files"] == 3


def test_a_path_that_is_not_there_is_a_wrong_call(project: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: no such file or folder"):
        list(files_under([Path("nowhere")]))
    with pytest.raises(UsageError, match="choose one"):
        invoke("scan", ".", "--json", "--sarif")


MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {"type": "object", "required": ["uri"]},
                "region": {
                    "type": "object",
                    "required": ["startLine"],
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                },
            },
        }
    },
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {"shortDescription": MESSAGE, "help": MESSAGE},
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {
                                "executionSuccessful": {"type": "boolean"},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["message"],
                                        "properties": {
                                            "level": LEVEL,
                                            "message": MESSAGE,
                                            "locations": {"type": "array", "items": LOCATION},
                                        },
                                    },
                                },
                            },
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "ruleIndex"],
                            "properties": {
                                "level": LEVEL,
                                "message": MESSAGE,
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {"type": "array", "items": LOCATION},
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 (OASIS Standard, sections 3.13 to 3.52) demands of the parts that are written here."""


def sarif(project: Path) -> dict[str, Any]:
    found = [scanned for path in files_under([Path("src")]) if (scanned := scan_file(path)) is not None]
    return as_sarif(found)


def test_sarif_is_shaped_as_the_standard_says(project: Path) -> None:
    said = json.loads(invoke("scan", "src", "--sarif").stdout)
    jsonschema.validate(said, SARIF)
    assert said == sarif(project)


def test_sarif_results_point_at_their_rule_and_line(project: Path) -> None:
    run = sarif(project)["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.name for rule in RULES]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == "note"
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {
        "src/naive.py",
        "src/run.sh",
        "src/tool",
    }
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 2


# --- rules and their records --------------------------------------------------------------------------


@pytest.fixture
def log(project: Path) -> Path:
    """A log: memoise kept at 4x and 2x, a third keep taken back, one discard; one of another proposer."""
    path = project / ".optiloop/toy/experiments.jsonl"
    path.parent.mkdir(parents=True)
    ledger = Ledger(path)
    list(ledger.new())
    for line in lines():
        ledger.append(line)
        list(ledger.new())
    return path


def lines() -> Iterator[Any]:
    def one(number: int, status: Status, effect: float | None, *tags: str, origin: str = "rewrite") -> Any:
        proposal = Proposal({"a.py": f"x = {number}\n"}, "an idea", origin, "memoise", tuple(tags))
        return experiment_of(proposal, {"a.py": "x = 0\n"}, number=number, status=status, effect=effect)

    yield one(1, Status.KEEP, 4.0)
    yield one(2, Status.KEEP, 2.0)
    yield one(3, Status.DISCARD, 1.0)
    yield one(4, Status.KEEP, 9.0)
    yield one(5, Status.DUPLICATE, None)
    yield one(6, Status.KEEP, 1.1, DEMOTION, f"{TAKES_BACK}{4:026d}", origin="recheck")
    yield one(7, Status.GATE_FAILED, None, origin="someone")


def test_records_count_tries_and_keeps_that_stand(log: Path) -> None:
    records = read_records(logs_of(log.parents[2]))
    record = records["rewrite", "memoise"]
    assert (record.tries, record.keeps, record.median) == (4, 2, 3.0)
    assert (records["someone", "memoise"].tries, records["someone", "memoise"].median) == (1, None)
    assert read_records([log, log]) == records, "a log named twice counts once"
    assert read_records([log], without="toy") == {}


def test_rules_lists_every_rule_with_its_record(log: Path) -> None:
    found = {rule["rule"]: rule for rule in json.loads(invoke("rules", "--json").stdout)}
    assert set(found) == {rule.name for rule in RULES}
    assert (found["memoise"]["tries"], found["memoise"]["keeps"], found["memoise"]["median_gain"]) == (
        4,
        2,
        3.0,
    )
    assert found["cat-pipe"]["median_gain"] is None
    assert found["cat-pipe"]["language"] == "shell"
    assert "memoise" in invoke("rules").stdout


def test_rules_needs_no_log(project: Path) -> None:
    done = invoke("rules")
    assert done.exit_code == 0
    assert "no logs here yet" in done.stderr
    with pytest.raises(UsageError, match="no such log or folder"):
        invoke("rules", "elsewhere")


def test_a_broken_log_is_named(log: Path) -> None:
    log.write_text(log.read_text().replace("memoise", "memoize", 1))
    with pytest.raises(LedgerError, match=r"experiments\.jsonl"):
        invoke("rules")


def test_a_run_may_learn_from_another_target(log: Path, tmp_path: Path) -> None:
    toy = write_toy_target(tmp_path / "other", files={}, metric='noise = "deterministic"\n')
    with Engine.opened(
        replace(load_target(toy), name="other"),
        Asks(),
        elsewhere=spent_elsewhere(read_records([log], without="other")),
    ) as engine:
        engine.prepare()
        engine.cycle()
    assert Asks.told[("rewrite", "memoise")].kept == 2
    with pytest.raises(UsageError, match="no such log or folder"):
        invoke("step", str(toy), "--learn-from", str(tmp_path / "nowhere"))


class Asks:
    """Keeps what the brief said of elsewhere, and proposes nothing."""

    told: ClassVar[dict[tuple[str, str], Spent]] = {}

    def propose(self, brief: Brief) -> None:
        Asks.told = dict(brief.elsewhere)
