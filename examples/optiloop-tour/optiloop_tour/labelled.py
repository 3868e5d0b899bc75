"""The parser `labelled`: reads `LABEL: NUMBER` from what a command printed. `label` stands in [metric]."""

import re
from collections.abc import Mapping

_LINE = re.compile(r"^(?P<label>[^:\n]+): (?P<value>-?\d{1,15}(?:\.\d{1,15})?)\b", re.MULTILINE)


def labelled(output: str, *, options: Mapping[str, str]) -> dict[str, float]:
    """The metric's value under its name, where its label stands in just one line; else nothing."""
    found = [
        m["value"] for m in _LINE.finditer(output) if m["label"] == options.get("label", options["name"])
    ]
    return {options["name"]: float(found[0])} if len(found) == 1 else {}
