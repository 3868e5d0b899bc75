"""A diff loses nothing, and one that does not belong to a text is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optiloop.diff import DiffError, patched, unified

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
