"""`optiloop run --ci`: what a CI job reads of a run: its summary page and the outputs of its step. Effect.

GITHUB_STEP_SUMMARY and GITHUB_OUTPUT name the files where the job runs under GitHub Actions; both are
appended to. https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optiloop.files import disk
from optiloop.report import Campaign, markdown, status

MOST_BYTES = 1_000_000
"""Of a step's summary; GitHub takes 1 MiB."""


def report_to_ci(campaign: Campaign, environment: Mapping[str, str] = os.environ) -> None:
    """Append the report to the job's summary, and what later steps ask for to the step's outputs.

    Raises WorkspaceError where such a file cannot be written.
    """
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        _append(Path(summary), _shortened(markdown(campaign)) + "\n")
    if output := environment.get("GITHUB_OUTPUT"):
        _append(Path(output), "".join(_assigned(*it) for it in outputs(campaign).items()))


def outputs(campaign: Campaign) -> Mapping[str, str]:
    """A step's outputs by name, empty where not known. `improved` is "true" only where that is verified."""
    found: dict[str, Any] = status(campaign)
    champion, improvement = found["champion"], found["improvement"]
    low = improvement["low"]
    return {
        "improved": "true" if low is not None and low > 1 else "false",
        "ratio": _number(improvement["ratio"]),
        "low": _number(low),
        "high": _number(improvement["high"]),
        "experiments": str(found["experiments"]),
        "keeps": str(found["statuses"].get("keep", 0)),
        "commit": champion["commit"] or "",
        "branch": f"optiloop/{campaign.target}",
        "metric": campaign.metric.name,
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _assigned(name: str, value: str) -> str:
    """An output with a delimiter that its value cannot hold."""
    mark = secrets.token_hex(8)
    return f"{name}<<{mark}\n{value}\n{mark}\n"


def _shortened(text: str) -> str:
    cut = text.encode("utf-8")[:MOST_BYTES].decode("utf-8", errors="ignore")
    return cut if cut == text else f"{cut.rpartition(chr(10))[0]}\n\n(cut: `optiloop report` has all of it)\n"


def _append(file: Path, text: str) -> None:
    with disk(file), file.open("a", encoding="utf-8") as out:
        out.write(text)
