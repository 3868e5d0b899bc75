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
from optiloop.proposers.assignment import functions
from optiloop.proposers.llm.answers import AnswerError, Edited, answer_schema, edits_of
from optiloop.proposers.llm.focus import Ask

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

COUNT = """\
def count(words):
    return dict(Counter(words))
"""
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


def one_line(error: AnswerError) -> None:
    assert "\n" not in str(error)


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
    return "\n".join(line if line in IN_STRING else line.removeprefix("    ") for line in text.split("\n"))


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
    "function, after thoughts": lambda old, new, before, after: (
        f"<think>\n```\nx\n</think>\n{fence(new, 'py')}"
    ),
    "function, thoughts opened": lambda old, new, before, after: (
        f"it is `count`\n</think>\n\n{fence(new, '')}"
    ),
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
    "diff, loose": lambda old, new, before, after: fence(
        loosened(unified({PATH: before}, {PATH: after})), ""
    ),
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


BODY_OF_COUNT = SOURCE[SOURCE.index("    counts = {}") : SOURCE.index("\n\n@lru")]

# --- functions ---------------------------------------------------------------------------------------


def test_helpers_constants_and_imports_come_along_where_they_belong() -> None:
    answer = fence(
        "from collections import Counter\nimport os\nimport re\n\nLIMIT = 3\nUNUSED = 4\n\n\n"
        "def helper(words):\n    return Counter(words[:LIMIT])\n\n\n"
        "def example():\n    print(count([]))\n\n\n"
        "def count(words):\n    return dict(helper(words))\n\n\n"
        'if __name__ == "__main__":\n    example()\n'
    )
    text = edited(answer)
    assert "from functools import lru_cache\nfrom collections import Counter\n\nSIZE = 64" in text
    helper = (
        "LIMIT = 3\n\n\ndef helper(words):\n    return Counter(words[:LIMIT])\n\n\n# Counts what is there.\n"
    )
    assert f"\n\n\n{helper}def count(words):\n    return dict(helper(words))\n\n\n@lru_cache(\n" in text
    assert "UNUSED" not in text
    assert "example" not in text
    assert "import os" not in text
    assert text.count("import re\n") == 1
    assert text.count("__main__") == 1


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("def f(a):\n    return a\n", "import os\n\n\ndef f(a):\n"),
        ('"""Doc."""\n\n\ndef f(a):\n    return a\n', '"""Doc."""\n\nimport os\n\n\ndef f(a):\n'),
        (
            "#!/bin/python\n# Mine\n\ndef f(a):\n    return a\n",
            "#!/bin/python\n# Mine\n\nimport os\n\ndef f(a):\n",
        ),
        (
            "from __future__ import annotations\ndef f(a):\n    return a\n",
            "from __future__ import annotations\nimport os\ndef f(a):\n",
        ),
        ("import sys\n\n\ndef f(a):\n    return a\n", "import sys\nimport os\n\n\ndef f(a):\n"),
    ],
)
def test_imports_go_to_the_top(source: str, imported: str) -> None:
    answer = fence("import os\n\ndef f(a):\n    return os.fspath(a)\n")
    text = edited(answer, ask("f"), {PATH: source})
    assert text == f"{imported}    return os.fspath(a)\n"


def test_a_method_alone_a_part_of_its_class_and_the_whole_class_do_the_same() -> None:
    method = "    async def push(self, item):\n        self.items += [item]\n        return item\n"
    alone = fence(textwrap.dedent(method))
    part = fence(f"class Stack:\n    limit = 4\n\n{method}")
    assert "async" in edited(alone, ask("Stack.push"))
    old = "\n".join(segment(SOURCE, "Stack.push")[1])
    assert edited(alone, ask("Stack.push")) == SOURCE.replace(f"{old}\n", method)
    assert edited(fence(f'class Stack:\n    """A stack."""\n\n{method}'), ask("Stack.push")) == edited(
        alone, ask("Stack.push")
    )
    start, end = SOURCE.index("class Stack"), SOURCE.index("\n\nclass Queue")
    whole = SOURCE[start:end].replace(f"{old}\n", method)
    assert edited(fence(whole), ask("Stack.push")) == edited(alone, ask("Stack.push"))
    assert "other attributes" in refused(part, ask("Stack.push"))


def test_a_new_method_that_the_asked_one_calls_goes_into_its_class() -> None:
    answer = fence(
        "def _grow(self, item):\n    self.items += [item]\n\n"
        "async def push(self, item):\n    self._grow(item)\n    return item\n"
    )
    text = edited(answer, ask("Stack.push"))
    assert (
        "    async def push(self, item):\n        self._grow(item)\n        return item\n\n"
        "    def _grow(self, item):\n        self.items += [item]\n\n\nclass Queue:" in text
    )


def test_tabs_and_spaces_both_read() -> None:
    tabbed = "def count(words):\n\ttotal = 0\n\tfor w in words:\n\t\ttotal += 1\n\treturn total\n"
    mixed = tabbed.replace("\ttotal = 0", "    total = 0")
    assert tabbed in edited(fence(tabbed))
    assert tabbed.expandtabs(4) in edited(fence(mixed))


def test_a_tabbed_class_takes_a_spaced_method() -> None:
    source = {PATH: "class A:\n\tdef f(self):\n\t\treturn 1\n\n\tdef g(self):\n\t\treturn 3\n"}
    text = edited(fence("def f(self):\n    x = 2\n    return x\n"), ask("A.f"), source)
    ast.parse(text)
    assert text.startswith("class A:\n\tdef f(self):\n\t    x = 2\n")


@pytest.mark.parametrize(
    ("answer", "function", "reason"),
    [
        ("def push(self, item):\n    return 2\n", None, "push could be Stack.push or Queue.push"),
        ("def other():\n    return 1\n", "count", "does not hold count"),
        ("x = 1\n", "count", "does not hold count"),
        ("def count(words):\n    return 1\ndef count(words):\n    return 2\n", "count", "holds count twice"),
        ("def count(words:\n", "count", "the code does not parse: line 1"),
        ("from re import search as Stack\ndef count(w):\n    return Stack(w)\n", "count", "imports Stack"),
        ("count = len\ndef fib(n):\n    return count(n)\n", "fib", "gives count another meaning"),
        (f"{COUNT}\n\ndef fib(n):\n    return 0\n", "count", "changes fib, where only count was asked for"),
        (f"SIZE = 3\n{COUNT.replace('words)', 'SIZE)')}", "count", "changes SIZE, where only count"),
        (SOURCE[SOURCE.index("def count") : SOURCE.index("@lru")], "count", "changes nothing"),
        ('def count(words):\n    """Other."""\n    # said\n' + BODY_OF_COUNT, "count", "changes nothing"),
        ("def count(words):\n    # ... rest unchanged\n    return 1\n", "count", "leaves code out"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(answer: str, function: str | None, reason: str) -> None:
    assert reason in refused(fence(answer), ask(function))


def test_another_function_that_is_only_written_otherwise_is_no_other_change() -> None:
    body = "    # the same\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
    other = f"@lru_cache(maxsize=None)\ndef fib(n):\n{body}"
    assert "return 7" in edited(fence(f"{other}\n\ndef count(words):\n    return 7\n"))


def test_edits_of_another_function_are_refused_where_one_was_asked_for() -> None:
    answer = blocks("    return n if n < 2 else fib(n - 1) + fib(n - 2)\n", "    return n\n")
    assert "only count was asked for" in refused(answer)
    assert "return n\n" in edited(answer, ask("count", "edits"))


# --- files -------------------------------------------------------------------------------------------


def test_a_file_may_lose_what_is_private_and_unused() -> None:
    private = "import os\n\n\ndef _old():\n    return 1\n\n\n"
    source = {PATH: f"{private}def f():\n    return _old()\n\n\ndef g():\n    pass\n"}
    new = "def f():\n    return 2\n\n\ndef g():\n    pass\n"
    assert edited(fence(new), ask(None, "file"), source) == new
    kept = edited(fence("def f():\n    return 2\n"), ask(None, "file"), source)
    assert "def _old" in kept
    assert "def g" in kept


def test_a_file_with_a_gap_is_read_as_its_functions() -> None:
    new = f"# ... rest of the file unchanged\n\n{COUNT}\n\n# ... remaining functions\n".replace(
        "Counter", "len"
    )
    text = edited(fence(new), ask(None, "file"))
    assert "def fib" in text
    assert "return dict(len(words))" in text


def test_line_ends_and_the_end_of_the_file_stay() -> None:
    crlf = {PATH: SOURCE.replace("\n", "\r\n").rstrip()}
    answer = fence("def count(words):\n    return {}")
    text = edited(answer, source=crlf)
    assert text.count("\n") == text.count("\r\n")
    assert text.endswith('print(count(["a"]))')
    whole = edited(fence(SOURCE.replace("64", "65")), ask(None, "file"), crlf)
    assert whole == crlf[PATH].replace("64", "65")


TEXTS = {
    "prompt.md": "# Task\n\nWrite it.\n\n```sh\nls\n```\n\nEnd.\n",
    "config.toml": "a = 1\nb = 2\n",
    "run.sh": "for f in *; do\n  echo $f\ndone\n",
    "data.json": '{"text": "a", "n": 1}\n',
}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("prompt.md", "Write it.", "Write it well."),
        ("config.toml", "a = 1", "a = 3"),
        ("run.sh", "  echo $f", '  printf "%s" "$f"'),
        ("data.json", '{"text": "a", "n": 1}', '{"text": "b", "n": 1}'),
    ],
)
def test_other_files_take_every_form(path: str, old: str, new: str) -> None:
    source, asked = {path: TEXTS[path]}, ask(None, "file", path)
    after = TEXTS[path].replace(old, new)
    mark = "````" if "```" in after else "```"
    for answer in (
        fence(after, path.rpartition(".")[2], mark),
        fence(after, "markdown" if path.endswith("md") else ""),
        f"Run `ls` first:\n{fence('ls -l', 'sh')}\nThen:\n{fence(after, '', mark)}",
        blocks(f"{old}\n", f"{new}\n"),
        fence(blocks(f"{old}\n", f"{new}\n", path), ""),
        fence(unified(source, {path: after}), "diff"),
        json.dumps({"hypothesis": "h", "family": "f", "text": after}),
        json.dumps({"edits": [{"path": path, "search": old, "replace": new}]}),
    ):
        assert edited(answer, asked, source) == after, answer


def test_a_file_that_others_read_stays_readable() -> None:
    assert "config.toml does not parse" in refused(
        fence("a = \n"), ask(None, "file", "config.toml"), TEXTS | {}
    )
    assert "data.json does not parse" in refused(fence('{"n": 1'), ask(None, "file", "data.json"), TEXTS)


def test_the_file_that_is_named_is_edited() -> None:
    source = {"src/a.py": "A = 1\n", "src/b.py": "B = 1\n", "c.txt": "C\n"}
    asked = ask(None, "file", "src/a.py")
    for answer in (
        fence("B = 2\n", "python src/b.py"),
        f"### `b.py`\n\n{fence(chr(66) + ' = 2')}",
        fence("B = 2\n"),
        blocks("B = 1\n", "B = 2\n", "src/b.py"),
        fence("--- a/src/b.py\n+++ b/src/b.py\n@@ -1 +1 @@\n-B = 1\n+B = 2\n", "diff"),
        json.dumps({"path": "b.py", "text": "B = 2\n"}),
    ):
        assert edits_of(answer, source, asked).edits == {"src/b.py": "B = 2\n"}, answer


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "test_program.py", "src/../program.py"])
def test_a_path_outside_is_refused(path: str) -> None:
    for answer in (
        blocks("SIZE = 64\n", "SIZE = 1\n", path),
        json.dumps({"path": path, "text": SOURCE.replace("64", "1")}),
        json.dumps({"edits": [{"path": path, "search": "SIZE = 64", "replace": "SIZE = 1"}]}),
        fence(f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-SIZE = 64\n+SIZE = 1\n", "diff"),
        fence("SIZE = 1\n", f"python {path}"),
    ):
        assert "not editable; only program.py" in refused(answer, ask(None, "edits"))


def test_more_files_than_one_change_may_edit_are_refused() -> None:
    source = {"a.py": "A = 1\n", "b.py": "B = 1\n"}
    answer = blocks("A = 1\n", "A = 2\n", "a.py") + blocks("B = 1\n", "B = 2\n", "b.py")
    assert "edits 2 files; one change may edit 1" in refused(answer, ask(None, "edits", "a.py"), source)
    found = edits_of(answer, source, ask(None, "edits", "a.py"), files_per_change=2)
    assert found.edits == {"a.py": "A = 2\n", "b.py": "B = 2\n"}
    assert "changes b.py" in refused(blocks("B = 1\n", "B = 2\n", "b.py"), ask("f", path="a.py"), source)


# --- edits -------------------------------------------------------------------------------------------

TWICE = {PATH: "def f():\n    x = 1\n    return x\n\n\ndef g():\n    x = 1\n    return x + 1\n"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (blocks("    x = 1\n", "    x = 2\n"), "'x = 1' on stand in the file 2 times"),
        (blocks("x  =  1\n", "x = 2\n"), "'x = 1' on stand in the file 2 times"),
        (blocks("    y = 1\n", "    y = 2\n"), "'y = 1' on do not stand in the file"),
        (blocks("", "    y = 2\n"), "no old lines"),
        ("<<<<<<< SEARCH\n    x = 1\n=======\n    x = 2\n", "cut short: a SEARCH/REPLACE block has no end"),
        ("<<<<<<< SEARCH\n    x = 1\n", "cut short: a SEARCH/REPLACE block has no end"),
        (fence("@@\n-    x = 1\n+    x = 2\n", "diff"), "'x = 1' on stand in the file 2 times"),
        (fence("@@\n+    x = 2\n", "diff"), "no old lines"),
        (fence("-def h():\n+def h(x):\n", "diff"), "'def h():' on do not stand in the file"),
        (blocks("    return x\n", "    return (x\n"), "program.py does not parse: line 3"),
        (blocks("    return x\n", "        return x\n"), "does not parse"),
        (blocks("    return x\n", "    return x  # said\n"), "changes nothing"),
        (blocks("    return x\n", "    return x\n"), "changes nothing"),
        (blocks("    return x\n", "    return x\u202e\n"), "holds U+202E"),
        (blocks("    return x\n", "    return 'x\0'\n"), "holds U+0000"),
        (json.dumps({"edits": [{"search": "x"}]}), "an edit needs `search` and `replace`"),
        (json.dumps({"edits": []}), "holds no edit"),
        (json.dumps({"edits": [{"search": "    return x", "replace": "    return '\ud800'"}]}), "not UTF-8"),
        (json.dumps({"code": 3, "hypothesis": "h"}), "the JSON holds no code"),
    ],
)
def test_an_edit_that_fits_no_place_or_two_is_refused(answer: str, reason: str) -> None:
    assert reason in refused(answer, ask(None, "edits"), TWICE)


def test_an_exact_line_number_tells_two_places_apart() -> None:
    diff = "--- a/program.py\n+++ b/program.py\n@@ -7,1 +7,1 @@\n-    x = 1\n+    x = 2\n"
    assert edited(fence(diff, "diff"), ask(None, "edits"), TWICE) == TWICE[PATH][:-30].replace(
        "x = 1", "x = 1"
    ) + TWICE[PATH][-30:].replace("x = 1", "x = 2")


def test_later_hunks_of_a_diff_stand_behind_earlier_ones() -> None:
    diff = "@@ @@\n def g():\n-    x = 1\n+    x = 2\n@@ @@\n-    return x + 1\n+    return x + 2\n"
    assert edited(fence(diff, "diff"), ask(None, "edits"), TWICE).endswith(
        "def g():\n    x = 2\n    return x + 2\n"
    )


def test_context_and_indentation_may_be_a_little_wrong() -> None:
    method = "    def f(self):\n        a = [ 1,2 ]\n        return a\n"
    source = {PATH: f"class A:\n{method}\n    def g(self):\n        pass\n"}
    after = source[PATH].replace("        return a\n", "        if a:\n            return a\n")
    search = "def f(self):\n\ta = [ 1,2 ]\n\treturn a\n"
    replace = "def f(self):\n\ta = [ 1,2 ]\n\tif a:\n\t    return a\n"
    assert edited(blocks(search, replace), ask("A.f"), source) == after
    lines = "-    return a\n+    if a:\n+        return a\n"
    wrong_context = f"@@\n class Another:\n def f(self):\n     a = [ 1,2 ]\n{lines} \n def h():\n"
    assert edited(fence(wrong_context, "diff"), ask("A.f"), source) == after


def test_an_empty_file_can_be_written() -> None:
    assert edited(blocks("", "x = 1\n"), ask(None, "edits"), {PATH: ""}) == "x = 1"
    assert edited(fence("x = 1\n"), ask(None, "file"), {PATH: ""}) == "x = 1\n"


# --- words -------------------------------------------------------------------------------------------

NEW = fence("def count(words):\n    return {}\n")


@pytest.mark.parametrize(
    ("said", "hypothesis", "family"),
    [
        ("hypothesis: a dict is faster\nfamily: Data Structure\n", "a dict is faster", "data-structure"),
        ("**Hypothesis:** a dict  is\x1b[31m faster\n- Family: `caching`\n", "a dict is faster", "caching"),
        ("> # HYPOTHESIS: it *is*\n", "it *is", ""),
        ("Sure!\n", "count: rewritten", ""),
        (f"hypothesis: {'x' * 500}\n", "x" * 199 + "…", ""),
        ("family: ../../etc\nhypothesis:\n", "count: rewritten", "etc"),
    ],
)
def test_hypothesis_and_family_are_taken_plain_and_short(said: str, hypothesis: str, family: str) -> None:
    found = edits_of(said + NEW, PROGRAM, ask())
    assert (found.hypothesis, found.family) == (hypothesis, family)


def test_words_may_stand_behind_the_code_or_in_json() -> None:
    assert edits_of(f"{NEW}\nhypothesis: h\nfamily: f\n", PROGRAM, ask()).hypothesis == "h"
    answer = json.dumps({"hypothesis": "h\nh", "family": "F f", "code": "def count(words):\n    return {}\n"})
    assert edits_of(answer, PROGRAM, ask()) == Edited(edits_of(NEW, PROGRAM, ask()).edits, "h h", "f-f")


def test_words_in_code_are_not_taken() -> None:
    answer = fence("def count(words):\n    hypothesis: str = 'x'\n    return {}\n")
    assert edits_of(answer, PROGRAM, ask(idea="caching")).hypothesis == "count: caching"
    assert edits_of(answer, PROGRAM, ask(idea="caching")).family == "caching"


# --- hostile and broken answers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "the answer is empty"),
        ("   \n\n", "the answer is empty"),
        ("I cannot help with that.", "the answer holds no code"),
        ("x" * 10_000_000, "10,000,000 characters long"),
        (f"<think>{'hm ' * 1000}", "ends within its thoughts"),
        ("```python\ndef count(words):\n    return {", "a fence is not closed"),
        ("```python\ndef count(words):\n    return {}\n", "a fence is not closed"),
        ('{"hypothesis": "h", "code": "def count(', "the JSON is cut short"),
        (fence('{"code": "def count('), "does not parse"),
        (fence("("  * 5000), "does not parse"),
        (fence("def count(words):\n    return " + "-" * 50_000 + "1\n"), "does not parse"),
        (fence("def count(words):\n    return '\0'\n"), "does not parse"),
        ("```" * 10_000, "a fence is not closed"),
        ("```\n" * 9_999, "more than 100 fenced blocks"),
        ("{" * 20_000, "the answer holds no code"),
        ("<<<<<<< SEARCH\n" * 5_000, "has no end"),
        (blocks("SIZE = 64\n", "SIZE = 1\n") * 300, "holds 300 edits"),
        ("@@\n" * 10_000, ""),
        ("hypothesis:" * 10_000, ""),
    ],
)  # fmt: skip
def test_a_hostile_answer_ends_in_one_line(answer: str, reason: str) -> None:
    assert reason in refused(answer)


def test_a_fence_in_a_docstring_does_not_end_the_block() -> None:
    code = 'def count(words):\n    """Count.\n\n```\ncount([])\n```\n    """\n    return {}\n'
    assert code in edited(fence(code))
    assert code in edited(f"So:\n{fence(code)}and\n{fence('print(1)')}")


def test_a_fence_in_a_fence() -> None:
    inner = fence("def count(words):\n    return {}\n")
    for answer in (fence(inner, "markdown", "````"), fence(inner, "md"), f"````\n{inner}````\n{inner}"):
        assert "def count(words):\n    return {}\n" in edited(answer)


FULL = [
    form("\n".join(segment(SOURCE, "count")[1]), *with_new_body(SOURCE, "count", "seen = 1")[:1], SOURCE,
         with_new_body(SOURCE, "count", "seen = 1")[1])
    for form in FORMS.values()
]  # fmt: skip


@given(st.sampled_from(FULL), st.integers(0, 4000), st.sampled_from(["function", "file", "edits"]))
@settings(deadline=None, max_examples=300)
@example(FULL[0], 30, "function")
def test_a_cut_answer_is_refused_or_reads_as_a_program(answer: str, end: int, kind: str) -> None:
    try:
        found = edits_of(answer[: end % (len(answer) + 1)], PROGRAM, ask("count", kind))
    except AnswerError as error:
        one_line(error)
    else:
        assert list(found.edits) == [PATH]
        ast.parse(found.edits[PATH])


PIECES = st.sampled_from(
    [
        *(
            "```python\n",
            "```\n",
            "~~~\n",
            "<<<<<<< SEARCH\n",
            "=======\n",
            ">>>>>>> REPLACE\n",
            "@@ -1,2 +3 @@\n",
        ),
        *(
            "--- a/program.py\n",
            "+++ b/program.py\n",
            "+",
            "-",
            " ",
            "\t",
            "\r\n",
            "<think>",
            "</think>\n",
            "\0",
        ),
        *(
            '{"code": "',
            '"}',
            "def count(words):\n",
            "    return 1\n",
            "class Stack:\n",
            "SIZE = 64\n",
            '"""\n',
        ),
        *(
            "hypothesis: x\n",
            "import os\n",
            "count = 3\n",
            "@lru_cache\n",
            "...\n",
            "\ud800",
            "é\n",
            "(" * 300,
        ),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from(["function", "file", "edits"]))
@settings(deadline=None, max_examples=400)
def test_nothing_but_a_reason_or_a_program_comes_of_noise(answer: str, kind: str) -> None:
    for path, source in ((PATH, PROGRAM), ("config.toml", TEXTS)):
        try:
            found = edits_of(answer, source, ask("count" if path == PATH else None, kind, path))
        except AnswerError as error:
            one_line(error)
        else:
            for edited_path, text in found.edits.items():
                assert edited_path in source
                if edited_path.endswith(".py"):
                    ast.parse(text)


# --- the schema --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("function", {"code": "def count(words):\n    return {}\n"}),
        ("file", {"text": SOURCE.replace("64", "65")}),
        ("edits", {"edits": [{"path": PATH, "search": "SIZE = 64", "replace": "SIZE = 65"}]}),
    ],
)
def test_what_fits_the_schema_is_taken(kind: str, body: Mapping[str, object]) -> None:
    asked = ask("count" if kind == "function" else None, kind)
    value = {"hypothesis": "h", "family": "f", **body}
    jsonschema.validate(value, answer_schema(asked))
    jsonschema.Draft202012Validator.check_schema(answer_schema(asked))
    assert edits_of(json.dumps(value), PROGRAM, asked).hypothesis == "h"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, answer_schema(asked))
