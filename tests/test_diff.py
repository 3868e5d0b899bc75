"""A diff loses nothing, and one that does not belong to a text is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiloop.diff import MOST_PLACES, DiffError, merged, moved, patched, places_of, undone, unified

LINES = (
    *("", "a", "b", "--- a/x", "+++ b/x", "-- ", "++ ", "-", "+", " ", "\\ No newline at end of file", "\\"),
    *("@@ -1 +1 @@", "@@ -1,2 +3,4 @@", "a\r", "\r", "\f", "a\x0bb", "\x1c", "\x85", "\u2028", "\ud800", "é"),
)
texts = st.one_of(
    st.text(),
    st.builds(
        lambda lines, end: "\n".join(lines) + end,
        st.lists(st.sampled_from(LINES), max_size=12),
        st.sampled_from(["", "\n"]),
    ),
)
paths = st.sampled_from(["a.py", "b c/d.py", "é.txt", "--- a", "dir/+++ b"])
programs = st.dictionaries(paths, texts, min_size=1, max_size=3)


@given(texts, texts)
@example("", "\n")
@example("a", "a\n")
@example("a\n", "")
@example("a\r\nb", "a\nb")
@example("-- \n", "++ \n")
def test_nothing_is_lost(old: str, new: str) -> None:
    assert patched({"a": old}, unified({"a": old}, {"a": new})) == {"a": new}


@given(programs, st.data())
def test_nothing_is_lost_in_several_files(before: dict[str, str], data: st.DataObject) -> None:
    after = {path: data.draw(texts) for path in before}
    assert patched(before, unified(before, after)) == after


@given(texts)
def test_no_change_no_diff(text: str) -> None:
    assert unified({"a": text}, {"a": text}) == ""
    assert patched({"a": text}, "") == {"a": text}


@given(texts, texts)
def test_the_diff_back_is_the_undoing(old: str, new: str) -> None:
    assert patched({"a": new}, unified({"a": new}, {"a": old})) == {"a": old}


def test_it_looks_like_git_s() -> None:
    diff = unified({"a.py": "one\ntwo\n"}, {"a.py": "one\n2"})
    assert diff == ("--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n\\ No newline at end of file\n")


@given(texts, texts, texts)
def test_another_text_is_refused_or_changed_alike(old: str, new: str, other: str) -> None:
    """Never an IndexError, never a text that the diff does not describe."""
    diff = unified({"a": old}, {"a": new})
    try:
        found = patched({"a": other}, diff)["a"]
    except DiffError:
        return
    assert diff == "" or found != other or other == new


GOOD = unified({"a": "1\n2\n3\n"}, {"a": "1\nx\n3\n"})
BAD = {
    "no header": "hello\n",
    "half a header": "--- a/a\n",
    "a hunk cut short": GOOD[: GOOD.index("+x")],
    "a context line that is not there": GOOD.replace(" 3", " 4"),
    "a removed line that is not there": GOOD.replace("-2", "-4"),
    "a hunk behind the end": "--- a/a\n+++ b/a\n@@ -90,0 +91 @@\n+x\n",
    "two hunks at one place": f"{GOOD}{GOOD[GOOD.index('@@') :]}",
    "too many lines for its hunk": GOOD.replace("-1,3 +1,3", "-1,2 +1,2"),
    "a line of no kind": GOOD.replace("-2", "?2"),
}


@pytest.mark.parametrize("diff", BAD.values(), ids=BAD)
def test_a_malformed_diff_is_refused(diff: str) -> None:
    with pytest.raises(DiffError):
        patched({"a": "1\n2\n3\n"}, diff)


@given(st.text())
@example("--- a/x\n+++ b/x\n@@ -1 +1 @@\n")
def test_rubbish_is_refused(rubbish: str) -> None:
    if rubbish:
        with pytest.raises(DiffError):
            patched({"a": "1\n"}, f"{rubbish}\n")


# --- in another text ---------------------------------------------------------------------------------

LONG = "".join(f"line {number}\n" for number in range(40))


def changed(text: str, *numbers: int) -> str:
    for number in numbers:
        text = text.replace(f"line {number}\n", f"new {number}\n")
    return text


def diff_of(*numbers: int) -> str:
    return unified({"a": LONG}, {"a": changed(LONG, *numbers)})


@given(st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_changes_that_touch_nothing_of_each_other_are_merged(mine: set[int], others: set[int]) -> None:
    if any(abs(a - b) < 3 for a in mine for b in others):
        return
    there = changed(LONG, *others)
    try:
        after = moved({"a": there}, diff_of(*mine))
    except DiffError:  # two changes within one hunk, with one of the others between them
        assert any(min(mine) < other < max(mine) for other in others)
        return
    assert after == {"a": changed(there, *mine)}
    assert undone(after, diff_of(*mine)) == {"a": there}


@given(st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_changes_of_neighbouring_lines_are_merged(mine: set[int], others: set[int]) -> None:
    """And what both have changed alike is no conflict."""
    others -= mine
    alike = {"a": changed(LONG, *mine)}
    assert merged(alike, {"a": LONG}, alike) == alike
    after = {"a": changed(LONG, *mine)}, {"a": changed(LONG, *others)}
    both = {"a": changed(LONG, *mine, *others)}
    assert merged(after[0], {"a": LONG}, after[1]) == merged(after[1], {"a": LONG}, after[0]) == both


@given(texts, texts)
def test_where_one_side_has_changed_nothing_the_other_is_the_merge(old: str, new: str) -> None:
    assert merged({"a": old}, {"a": old}, {"a": new}) == {"a": new}
    assert merged({"a": new}, {"a": old}, {"a": old}) == {"a": new}


def test_no_two_lines_are_glued_together() -> None:
    with pytest.raises(DiffError, match="whose end"):
        merged({"a": "x\ny"}, {"a": "x\ny\n"}, {"a": "x\ny\nz\n"})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("1\nB\n3\n", "1\nb\n3\n"), ("1\nx\n2\n3\n", "1\ny\n2\n3\n"), ("1\n3\n", "1\nb\n3\n")],
)
def test_two_changes_of_one_line_are_no_merge(ours: str, theirs: str) -> None:
    with pytest.raises(DiffError, match="a: both change line 2"):
        merged({"a": ours}, {"a": "1\n2\n3\n"}, {"a": theirs})


def test_lines_may_have_moved() -> None:
    assert moved({"a": "more\n" * 9 + LONG}, diff_of(5)) == {"a": "more\n" * 9 + changed(LONG, 5)}


@pytest.mark.parametrize(
    "there",
    [
        changed(LONG, 5).replace("new 5", "other 5"),
        LONG + LONG,
        "",
        LONG.replace("line 4\n", "x\n"),
    ],
)
def test_what_stands_nowhere_or_twice_is_refused(there: str) -> None:
    with pytest.raises(DiffError):
        moved({"a": there}, diff_of(5))


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(DiffError, match="there is no a"):
        moved({"b": LONG}, diff_of(5))


def test_a_line_without_an_end_stays_the_last_one() -> None:
    diff = unified({"a": "x\ny\n"}, {"a": "x\ny"})
    assert moved({"a": "0\nx\ny\n"}, diff) == {"a": "0\nx\ny"}
    with pytest.raises(DiffError):
        moved({"a": "x\ny\nz\n"}, diff)


@given(texts, texts)
def test_where_it_moves_to_its_own_text_it_is_the_patch(old: str, new: str) -> None:
    diff = unified({"a": old}, {"a": new})
    with contextlib.suppress(DiffError):  # some of its lines stand twice
        assert moved({"a": old}, diff) == {"a": new}


# --- the functions that a diff changes ---------------------------------------------------------------

CLASSY = """import re

SIZE = 3


class Stack:
    limit = 9

    @property
    def top(
        self,
    ) -> int:
        '''
        The top.
not indented
        '''
        return self.items[-1]

    async def push(self, item):
        self.items.append(item)


if SIZE:

    def outer():
        def inner():
            return 1
        return inner()


def last():
    return 3
"""


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("SIZE = 3", "SIZE = 4", ("a.py",)),
        ("limit = 9", "limit = 8", ("a.py::Stack",)),
        ("[-1]", "[0]", ("a.py::Stack.top",)),
        ("@property", "@cached", ("a.py::Stack.top",)),
        ("not indented", "indented", ("a.py::Stack.top",)),
        ("append(item)", "extend([item])", ("a.py::Stack.push",)),
        ("return 1", "return 2", ("a.py::outer",)),
        ("return 3\n", "return 4", ("a.py::last",)),
        ("def last", "def newest", ("a.py::last", "a.py::newest")),
        ("import re\n", "import re\n# said\n", ("a.py",)),
        ("return 3\n", "return (\n", ("a.py::last",)),
    ],
)
def test_it_names_the_functions_that_it_changes(old: str, new: str, places: tuple[str, ...]) -> None:
    after = CLASSY.replace(old, new)
    diff = unified({"a.py": CLASSY}, {"a.py": after})
    assert places_of(diff) == places
    assert patched({"a.py": CLASSY}, diff) == {"a.py": after}


def test_other_files_and_broken_diffs_name_no_function() -> None:
    diff = unified({"a.txt": "def f():\n  1\n", "b.sh": "x"}, {"a.txt": "def f():\n  2\n", "b.sh": "y"})
    assert places_of(diff) == ("a.txt", "b.sh")
    assert places_of("no diff") == places_of("") == places_of("@@ -1,9 +1 @@ f\n-x\n") == ()


def test_a_change_of_everything_names_some() -> None:
    old = "".join(f"def f{i}():\n    return {i}\n\n\n\n\n\n\n\n" for i in range(50))
    names = places_of(unified({"a.py": old}, {"a.py": old.replace("return", "yield")}))
    assert names == tuple(f"a.py::f{i}" for i in range(MOST_PLACES))
