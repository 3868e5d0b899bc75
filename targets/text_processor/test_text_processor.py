"""The gate: every promise of text_processor.py's docstrings, above all the edge cases. 51 tests."""

import pytest
import text_processor as tp


def same(actual, expected):
    """Equal, of the same types all the way down, and with dict keys in the same order."""
    return repr(actual) == repr(expected)


# --- split_words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" .,;\n\t- ", []),
        ("The cat, the DOG.", ["the", "cat", "the", "dog"]),
        ("don't 'quote' it's", ["don't", "'quote'", "it's"]),
        ("snake_case x2-y3 4th", ["snake", "case", "x2", "y3", "4th"]),
        ("Größe ÉCOLE 東京², naïve", ["größe", "école", "東京²", "naïve"]),
    ],
    ids=["empty", "only separators", "lower case", "apostrophes", "underscore and digits", "unicode"],
)
def test_split_words(text, words):
    assert same(tp.split_words(text), words)


# --- sort_words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ([], []),
        (["pear", "fig", "pear", "apple"], ["apple", "fig", "pear", "pear"]),
        (["zebra", "Zebra", "éclair", "10", "9", ""], ["", "10", "9", "Zebra", "zebra", "éclair"]),
    ],
    ids=["empty", "repeats stay", "by code point"],
)
def test_sort_words(words, ordered):
    assert same(tp.sort_words(words), ordered)


def test_sort_words_leaves_its_argument_alone():
    words = ["b", "a"]
    assert tp.sort_words(words) is not words
    assert words == ["b", "a"]


# --- count_words, top_words --------------------------------------------------------------------------


def test_count_words_of_nothing():
    assert same(tp.count_words([]), {})


def test_count_words_in_order_of_first_occurrence():
    assert same(tp.count_words(["b", "a", "b", "B", "", "b", "a", ""]), {"b": 3, "a": 2, "B": 1, "": 2})


@pytest.mark.parametrize(
    ("k", "top"),
    [
        (1, [["b", 3]]),
        (3, [["b", 3], ["a", 2], ["d", 2]]),
        (9, [["b", 3], ["a", 2], ["d", 2], ["c", 1]]),
        (0, []),
        (-1, []),
    ],
    ids=["first", "ties by first occurrence", "fewer than k", "zero", "negative"],
)
def test_top_words(k, top):
    assert same(tp.top_words(["b", "a", "d", "b", "c", "d", "b", "a"], k), top)


def test_top_words_of_nothing():
    assert same(tp.top_words([], 3), [])


# --- unique_words, common_words, remove_stop_words ---------------------------------------------------


def test_unique_words_of_nothing():
    assert same(tp.unique_words([]), [])


def test_unique_words_in_order_of_first_occurrence():
    assert same(tp.unique_words(["b", "a", "b", "B", "", "a", ""]), ["b", "a", "B", ""])


def test_common_words_in_order_of_the_first_list():
    assert same(tp.common_words(["c", "a", "b", "a"], ["a", "x", "c", "a"]), ["c", "a"])


@pytest.mark.parametrize(("first", "second"), [([], ["a"]), (["a"], ["b", "A"])])
def test_common_words_without_any(first, second):
    assert same(tp.common_words(first, second), [])


def test_remove_stop_words():
    words = ["the", "cat", "and", "The", "your", "cat", "a"]
    assert same(tp.remove_stop_words(words), ["cat", "The", "cat"])


def test_remove_stop_words_may_leave_nothing():
    assert same(tp.remove_stop_words(["of", "the"]), [])


# --- count_ngrams, concordance -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "n", "counts"),
    [
        (["a", "b", "a", "b", "a"], 2, {"a b": 2, "b a": 2}),
        (["a", "a", "a", "a"], 3, {"a a a": 2}),
        (["b", "a", "b"], 1, {"b": 2, "a": 1}),
        (["a b", "c", "a", "b c"], 2, {"a b c": 2, "c a": 1}),
        (["a", "b"], 3, {}),
        (["a", "b"], 0, {}),
    ],
    ids=["pairs", "overlapping", "single words", "words with spaces", "too few words", "n is 0"],
)
def test_count_ngrams(words, n, counts):
    assert same(tp.count_ngrams(words, n), counts)


def test_concordance_of_nothing():
    assert same(tp.concordance([]), {})


def test_concordance_lists_every_position():
    assert same(tp.concordance(["b", "a", "b", "b", "c"]), {"b": [0, 2, 3], "a": [1], "c": [4]})


# --- edit_distance, closest_word ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("é", "e", 1)],
)
def test_edit_distance(first, second, distance):
    assert same(tp.edit_distance(first, second), distance)


def test_closest_word_is_the_first_of_several():
    assert same(tp.closest_word("cat", ["dog", "bat", "car"]), "bat")


def test_closest_word_of_none():
    assert tp.closest_word("cat", []) is None


# --- caesar ------------------------------------------------------------------------------------------


def test_caesar_keeps_case_and_all_else():
    assert same(tp.caesar("xyz, XYZ! é 1", 3), "abc, ABC! é 1")


def test_caesar_negative_shift_undoes_a_positive_one():
    assert tp.caesar(tp.caesar("Hello, World", 30), -30) == "Hello, World"


# --- find_all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pattern", "positions"),
    [("aaaa", "aa", [0, 1, 2]), ("abc", "", []), ("ab", "abc", []), ("a.b*a.b", "a.b", [0, 4])],
    ids=["overlapping", "empty pattern", "longer than the text", "no wildcards"],
)
def test_find_all(text, pattern, positions):
    assert same(tp.find_all(text, pattern), positions)


# --- palindromes, line_starts, title_case, longest_word ----------------------------------------------


def test_palindromes():
    assert same(tp.palindromes(["noon", "a", "", "Anna", "été", "noon", "aa"]), ["noon", "été", "noon", "aa"])


@pytest.mark.parametrize(
    ("text", "starts"),
    [("", [0]), ("ab\n\nc\n", [0, 3, 4, 6]), ("a\r\nb\x0bc", [0, 3])],
    ids=["empty", "empty lines", "only newlines end lines"],
)
def test_line_starts(text, starts):
    assert same(tp.line_starts(text), starts)


def test_title_case():
    assert same(tp.title_case("  o'neil's\tBIG  ßtext ǆ\n"), "O'neil's Big SStext Ǆ")


def test_longest_word_is_the_first_of_several():
    assert same(tp.longest_word(["a", "bcd", "efg", ""]), "bcd")
    assert same(tp.longest_word([]), "")
