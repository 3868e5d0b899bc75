"""`optiloop ci`: write a nightly workflow for a target into the user's repository. Effect."""

from __future__ import annotations

from pathlib import Path

from optiloop.errors import UsageError
from optiloop.files import disk
from optiloop.git import locate
from optiloop.model import Target
from optiloop.targets import shipped

_WRITTEN = {
    "nightly": (".github/workflows/optiloop-{name}.yml", "optimize"),
    "batch": (".github/workflows/optiloop-{name}.yml", "evaluate"),
    "gitlab": (".gitlab/optiloop-{name}.yml", ""),
}
"""Where a form is written to, and which of its jobs the pull request comes from."""
_ACTION = ".github/actions/optiloop/action.yml"


def write_workflow(target: Target, proposer: str, form: str) -> list[str]:
    """Write a form (nightly, batch, gitlab) into the target's repository. Returns what was done, in lines.

    Raises UsageError where the target is in no git repository, or the workflow is there already.
    """
    place = locate(target.root, target.name, target.editable[0])
    if place.private:
        raise UsageError(
            f"{target.name} is in no git repository; a workflow needs one: git init, and commit it"
        )
    pattern, job = _WRITTEN[form]
    workflow = pattern.format(name=target.name)
    if (place.top / workflow).exists():
        raise UsageError(f"{place.top / workflow} is there already; remove it, or edit it")
    texts = {workflow: _filled(form, place.prefix or ".", target.name, proposer, job)}
    if job and not (place.top / _ACTION).exists():
        texts[_ACTION] = _template("action")
    for path, text in texts.items():
        _write(place.top / path, text)
    return [*(f"wrote {path}" for path in texts), f"next: {_NEXT[form]}"]


_NEXT = {
    **dict.fromkeys(
        ("nightly", "batch"),
        "commit and push them; allow Actions to create pull requests (Settings > Actions > General); "
        "a model's key goes into Settings > Secrets",
    ),
    "gitlab": "include it in .gitlab-ci.yml, and make a pipeline schedule (Build > Pipeline schedules)",
}


def _filled(form: str, folder: str, name: str, proposer: str, job: str) -> str:
    # Not Jinja: its braces are those of a workflow's expressions.
    text = _template(form)
    if job:
        text = text.replace("@PUBLISH@\n", _template("publish").replace("@JOB@", job))
    return text.replace("@TARGET@", folder).replace("@NAME@", name).replace("@PROPOSER@", proposer)


def _template(name: str) -> str:
    return (shipped("templates") / "ci" / f"{name}.yml").read_text(encoding="utf-8")


def _write(file: Path, text: str) -> None:
    with disk(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
