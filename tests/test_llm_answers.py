"""What a model's answer is taken for: the same change in any form, or a reason in one line."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Callable, Mapping

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optiloop.definitions import Definition
from optiloop.diff import unified
from optiloop.proposers.llm.answers import AnswerError, Edited, answer_schema, edits_of
from optiloop.proposers.llm.focus import Ask, functions

SOURCE = '''\
"""Words and stacks."""

from __future__ import annotations

import re
from functools import lru_cache

SIZE = 64
TABLE = {
    "a": 1,
}


# Counts what is there.
def count(words):
    """Return how often each word occurs.

    In order.
    """
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


@lru_cache(
    maxsize=None,
)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Stack:
    """A stack."""

    limit = 3

    def __init__(self):
        self.items = []

    @property
    def top(
        self,
    ) -> int:
        text = """
  not code
        """
        return self.items[-1]

    async def push(self, item):
        for _ in range(1):
            self.items.append(item)
        return item


class Queue:
    def push(self, item): return item

    def pop(self):
        return None


if SIZE:

    def late(a):
        return a


if __name__ == "__main__":
    print(count(["a"]))
'''
PATH = "program.py"
PROGRAM = {PATH: SOURCE}
NAMES = [it.name for it in functions(PATH, SOURCE)]

COUNT = '''\
def count(words):
    return dict(Counter(words))
'''
COUNTED = SOURCE.replace(
    SOURCE[SOURCE.index("def count") : SOURCE.index("@lru_cache")], COUNT + "\n\n"
).replace("import re\n", "import re\n")


def ask(function: str | None = "count", kind: str = "function", path: str = PATH, **words: object) -> Ask:
    return Ask(kind, path, function, **words)  # type: ignore[arg-type]


def edited(answer: str, asked: Ask | None = None, source: Mapping[str, str] = PROGRAM) -> str:
    """The one new text that an answer makes."""
    found = edits_of(answer, source, asked or ask())
    assert len(found.edits) == 1
    return next(iter(found.edits.values()))


def refused(answer: str, asked: Ask | None = None, source: Mapping[str, str] = PROGRAM) -> str:
    with pytest.raises(AnswerError) as error:
        edits_of(answer, source, asked or ask())
    reason = str(error.value)
    assert "\n" not in reason
    assert len(reason) < 300
    return reason


def fence(text: str, info: str = "python", mark: str = "```") -> str:
    return f"{mark}{info}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{mark}\n"


def blocks(search: str, replace: str, path: str = "") -> str:
    named = f"{path}\n" if path else ""
    return f"{named}<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


# --- one change in every form --------------------------------------------------------------------------


def segment(source: str, name: str) -> tuple[Definition, list[str]]:
    it = next(it for it in functions(PATH, source) if it.name == name)
    return it, source.split("\n")[it.first - 1 : it.last]


def with_new_body(source: str, name: str, statement: str) -> tuple[str, str]:
    """A function with a statement in front of its body, and the file with it."""
    it, lines = segment(source, name)
    body = it.node.body[0]
    at = body.lineno - it.first
    if lines[at][: body.col_offset].strip():  # def f(): return 1
        head, tail = lines[at][: body.col_offset].rstrip(), lines[at][body.col_offset :]
        inner = " " * (len(head) - len(head.lstrip()) + 4)
        new = [*lines[:at], head, f"{inner}{statement}", f"{inner}{tail}", *lines[at + 1 :]]
    else:
        new = [*lines[:at], f"{' ' * body.col_offset}{statement}", *lines[at:]]
    whole = source.split("\n")
    return "\n".join(new), "\n".join([*whole[: it.first - 1], *new, *whole[it.last :]])


IN_STRING = ("  not code", '        """')
"""The lines of SOURCE that begin within a string."""


def dedented(text: str) -> str:
    """Without its indentation, strings aside, as a model gives a method back."""
    return "\n".join(
        line if line in IN_STRING else line.removeprefix("    ") for line in text.split("\n")
    )


def wrong_ranges(diff: str) -> str:
    return "\n".join("@@ -900,3 +1,99 @@" if line.startswith("@@") else line for line in diff.split("\n"))


def loosened(diff: str) -> str:
    """A diff whose context lost or won white space at line ends, and whose empty lines lost their mark."""
    lines = diff.split("\n")
    return "\n".join("" if line == " " else f"{line}  " if line[:1] == " " else line for line in lines)


Form = Callable[[str, str, str, str], str]
"""(old function, new function, old file, new file) -> answer."""

FORMS: dict[str, Form] = {
    "function": lambda old, new, before, after: fence(new),
    "function, dedented": lambda old, new, before, after: fence(dedented(new) if new[0] == " " else new),
    "function, first line dedented": lambda old, new, before, after: fence(new.lstrip()),
    "function, indented": lambda old, new, before, after: fence(
        "\n".join(line if line in IN_STRING else f"    {line}" for line in new.split("\n"))
    ),
    "function, with prose": lambda old, new, before, after: f"Sure!\n\n{fence(new)}\nThis is faster.",
    "function, after thoughts": lambda old, new, before, after: f"<think>\n```\nx\n</think>\n{fence(new, 'py')}",
    "function, thoughts opened": lambda old, new, before, after: f"it is `count`\n</think>\n\n{fence(new, '')}",
    "function, tildes": lambda old, new, before, after: fence(new, "python", "~~~"),
    "function, carriage returns": lambda old, new, before, after: fence(new).replace("\n", "\r\n"),
    "function, old one first": lambda old, new, before, after: f"Before:\n{fence(old)}After:\n{fence(new)}",
    "function, old one last": lambda old, new, before, after: f"New:\n{fence(new)}It was:\n{fence(old)}",
    "function, example after": lambda old, new, before, after: f"{fence(new)}\n{fence('print(count([]))')}",
    "function, path": lambda old, new, before, after: fence(new, f"python {PATH}"),
    "file": lambda old, new, before, after: fence(after),
    "file, path": lambda old, new, before, after: f"**{PATH}**\n{fence(after)}",
    "file, colon": lambda old, new, before, after: fence(after, f"python:{PATH}"),
    "file, bare": lambda old, new, before, after: after,
    "file, no end of fence opened for it": lambda old, new, before, after: f"{after}```\nDone.",
    "blocks": lambda old, new, before, after: blocks(f"{old}\n", f"{new}\n", PATH),
    "blocks, in a fence": lambda old, new, before, after: fence(blocks(f"{old}\n", f"{new}\n")),
    "blocks, of the file": lambda old, new, before, after: blocks(before, after),
    "blocks, blank lines around": lambda old, new, before, after: blocks(f"\n{old}\n\n", f"\n{new}\n\n"),
    "blocks, shifted": lambda old, new, before, after: blocks(
        textwrap.indent(f"{old}\n", "  "), textwrap.indent(f"{new}\n", "  ")
    ),
    "diff": lambda old, new, before, after: fence(unified({PATH: before}, {PATH: after}), "diff"),
    "diff, bare": lambda old, new, before, after: "So:\n\n" + unified({PATH: before}, {PATH: after}),
    "diff, wrong numbers": lambda old, new, before, after: fence(
        wrong_ranges(unified({PATH: before}, {PATH: after})), "diff"
    ),
    "diff, loose": lambda old, new, before, after: fence(loosened(unified({PATH: before}, {PATH: after})), ""),
    "JSON": lambda old, new, before, after: json.dumps({"hypothesis": "h", "family": "f", "code": new}),
    "JSON, file": lambda old, new, before, after: f"Here:\n{json.dumps({'text': after})}",
    "JSON, fenced": lambda old, new, before, after: fence(json.dumps({"code": new}, indent=1), "json"),
    "JSON, a fence in it": lambda old, new, before, after: json.dumps({"code": fence(new)}),
    "JSON, edits": lambda old, new, before, after: json.dumps(
        {"edits": [{"path": PATH, "search": old, "replace": new}]}
    ),
    "JSON, raw newlines": lambda old, new, before, after: json.dumps({"code": new}).replace("\\n", "\n"),
}


@pytest.mark.parametrize("form", FORMS)
@given(st.sampled_from(NAMES), st.sampled_from(["pass", "seen = 1", "x = {'`': 1}", 'y = """a\n``` b\n"""']))
@settings(max_examples=25, deadline=None)
def test_a_function_is_changed_the_same_in_every_form(form: str, name: str, statement: str) -> None:
    old = "\n".join(segment(SOURCE, name)[1])
    if statement == "pass":
        statement = "seen = None"
    new, after = with_new_body(SOURCE, name, statement)
    if "``` b" in statement and ("shifted" in form or "dented" in form or "opened" in form):
        return  # who moves the lines of a string changes it; a fence that nothing opens ends anywhere
    assert edited(FORMS[form](old, new, SOURCE, after), ask(name)) == after
