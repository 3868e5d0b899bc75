"""Writes the tables of docs/targets.md from the code that reads target.toml.

    python docs/target_reference.py

A key is what a function of optiloop/targets.py takes from its table; its kind is what it is taken as. What
a key is for stands here, and one without words is an error, as are words without a key.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from optiloop import targets

DOC = Path(__file__).with_name("targets.md")
BEGIN, END = (
    "<!-- the reference: written by docs/target_reference.py -->\n",
    "<!-- end of the reference -->\n",
)

READERS = {
    "_from_toml": "",
    "_files_per_change": "",
    "_gate": "[[gate]]",
    "_metric": "[metric]",
    "_guard": "[[guard]]",
    "_holdout": "[holdout]",
    "_lone_command": "[diagnose], [check], [start]",
    "_policy": "[policy]",
    "_budget": "[budget]",
    "_sandbox": "[sandbox]",
}
"""The functions that read a table, and how the table is written."""

METHODS = {"seconds": "duration", "bytes": "size", "texts": "list of strings"}
KINDS = {"str": "string", "int": "whole number", "float": "number", "bool": "true or false"}

WORDS = {
    "name": "what the target is called; the folder's name without it",
    "goal": "what proposers are told; the text of `program.md` is added",
    "editable": "the files that a candidate may change",
    "context": "files that models are shown and may not change",
    "files_per_change": "most files that one candidate changes; 1",
    "lessons": "what models are told of earlier tries",
    "[[gate]] name": "what the gate is called in reports",
    "[[gate]] command": "must exit 0 before a candidate is measured",
    "[[gate]] timeout": "when it is killed; 60s",
    "[[gate]] env": "environment variables, a table of strings",
    "[[gate]] tests": "how many tests it must at least pass",
    "[metric] name": "the number to improve, as the output names it",
    "[metric] unit": "what it is measured in; converts what the output gives",
    "[metric] direction": "what is better",
    "[metric] command": "prints the number, or writes `file`",
    "[metric] timeout": "when it is killed; 60s",
    "[metric] env": "environment variables, a table of strings",
    "[metric] file": "what the parser reads instead of the output",
    "[metric] parser": "who reads the output: `optiloop list` names them; its options stand beside it",
    "[metric] noise": "how equal code's numbers vary: how candidates are compared",
    "[metric] min_effect": "the smallest gain worth a change: a share, or in units with `difference`; 0.005",
    "[metric] compare": "gains as a ratio or as a difference",
    "[metric] duet": "both sides of a pair are timed in one run (optiloop.bench)",
    "[[guard]] metric": "another number that may not get worse without end",
    "[[guard]] max_ratio": "how many times the baseline it may be at most",
    "[[guard]] min_ratio": "how many times the baseline it must be at least",
    "[holdout] command": "asked before a keep, and never shown to proposers",
    "[holdout] timeout": "when it is killed; 60s",
    "[holdout] env": "environment variables, a table of strings",
    "[holdout] files": "what lies there only while it is asked",
    "[holdout] peeks": "how often a campaign may ask",
    "[holdout] claim": "gives the metric on what is held out: the closing claim is measured by it",
    "[diagnose], [check], [start] command": "told to models; told by `check`; see below",
    "[diagnose], [check], [start] timeout": "when it is killed; 60s",
    "[diagnose], [check], [start] env": "environment variables, a table of strings",
    "[policy] alpha": "the chance of a false keep that is accepted",
    "[policy] kappa": "the smallest gain that is looked for, in units of the noise",
    "[policy] max_pairs": "after so many pairs a candidate is discarded",
    "[policy] recheck": "after so many keeps each is measured again",
    "[policy] audit": "a candidate so many times better is looked at again",
    "[policy] strict": "the chance holds for the campaign, not for each candidate",
    "[policy] simplify": "keep what is simpler and costs nothing",
    "[policy] margin": "what counts as costing nothing",
    "[budget] cycle": "how long one experiment may take",
    "[budget] run": "how long a run lasts where no flag says so",
    "[sandbox] network": "whether commands reach the network; false",
    "[sandbox] memory": "how much memory a command may take",
    "[sandbox] processes": "how many processes it may start",
    "[sandbox] disk": "how much it may write",
    "[sandbox] read_only": "folders of yours that commands may read",
    "[sandbox] writable": "folders of yours that commands may write",
    "[sandbox] cache": "one folder, named in OPTILOOP_CACHE, that commands may write and find again",
    "[sandbox] pass_env": "environment variables of yours that commands see",
}


def reference() -> str:
    """The tables, one for each table of target.toml. Raises SystemExit where WORDS do not fit."""
    found = dict.fromkeys(keys())
    said = {f"{table} {key}".strip() for table, key, _ in found}
    if wrong := sorted(said ^ set(WORDS)):
        raise SystemExit(
            f"docs/target_reference.py: WORDS and optiloop/targets.py differ: {', '.join(wrong)}"
        )
    parts = []
    for table in dict.fromkeys(READERS.values()):
        rows = [
            f"| `{key}` | {kind} | {WORDS[f'{table} {key}'.strip()]} |"
            for where, key, kind in found
            if where == table
        ]
        title = f"### `{table}`" if table else "### At the top"
        parts.append("\n".join([title, "", "| key | kind | what it is for |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def keys() -> Iterator[tuple[str, str, str]]:
    """Table, key and kind of all that is read from a target.toml, in the order of the code."""
    tree = ast.parse(Path(targets.__file__).read_text(encoding="utf-8"))
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in READERS:
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
                for key, kind in _read(call):
                    yield READERS[function.name], key, kind


def _read(call: ast.Call) -> Iterator[tuple[str, str]]:
    """What one call takes from a table: nothing, a key, or a command with what belongs to it."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [
        node.value for node in call.args if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    kinds = [node.id for node in call.args if isinstance(node, ast.Name)]
    if name == "command":
        yield from (("command", "command"), ("timeout", "duration"), ("env", "table"))
    elif name == "_share":
        yield words[0], "number"
    elif name in METHODS:
        yield words[0], METHODS[name]
    elif name == "choice":
        yield words[0], ", ".join(f'"{word}"' for word in getattr(targets, kinds[0]))
    elif name in ("take", "need"):
        yield words[0], KINDS[kinds[0]] + (", needed" if name == "need" else "")


def written(text: str) -> str:
    """The document with its reference as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    DOC.write_text(written(DOC.read_text(encoding="utf-8")), encoding="utf-8")
