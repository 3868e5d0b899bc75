"""Small functions on texts and words, written the way a beginner writes them: right, plain and slow.

A "word" is an element of a list of strings, compared as it is; `split_words` makes such a list of a text.
No function changes the list it is given. What each one returns is exact: its type, its order and its
edge cases are part of the promise.
"""

LOWER = "abcdefghijklmnopqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

STOP_WORDS = [
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been",
    "before", "but", "by", "can", "could", "did", "do", "each", "even", "for", "from", "get", "had", "has",
    "have", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "like", "made", "make", "many", "may", "me", "more", "most", "much", "must", "my", "new", "no", "not",
    "now", "of", "on", "one", "only", "or", "other", "our", "out", "over", "said", "same", "see", "she",
    "should", "since", "so", "some", "still", "such", "take", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "through", "to", "too", "two", "under", "up", "use", "very",
    "was", "way", "we", "well", "were", "what", "when", "where", "which", "while", "who", "will", "with",
    "would", "you", "your",
]  # fmt: skip


def split_words(text):
    """Return the words of a text in order, in lower case.

    A word is a longest run of letters, digits and apostrophes; all else separates words.
    """
    words = []
    word = ""
    for character in text.lower():
        if character.isalnum() or character == "'":
            word += character
        else:
            if word != "":
                words.append(word)
            word = ""
    if word != "":
        words.append(word)
    return words


def sort_words(words):
    """Return a new list of the words in ascending order, by code point; equal words all stay."""
    result = list(words)
    for i in range(len(result)):
        for j in range(len(result) - 1 - i):
            if result[j] > result[j + 1]:
                result[j], result[j + 1] = result[j + 1], result[j]
    return result


def count_words(words):
    """Return a dict from each distinct word to how often it occurs, in order of first occurrence."""
    known = []
    counts = []
    for word in words:
        found = False
        for i in range(len(known)):
            if known[i] == word:
                counts[i] += 1
                found = True
                break
        if not found:
            known.append(word)
            counts.append(1)
    result = {}
    for i in range(len(known)):
        result[known[i]] = counts[i]
    return result


def top_words(words, k):
    """Return the k most frequent distinct words as [word, count] lists, most frequent first.

    Of equally frequent words the one that occurs first comes first. All of them where there are fewer
    than k; none for k <= 0.
    """
    counts = count_words(words)
    chosen = []
    result = []
    while len(result) < k and len(result) < len(counts):
        best = None
        for word in counts:
            if word not in chosen and (best is None or counts[word] > counts[best]):
                best = word
        chosen.append(best)
        result.append([best, counts[best]])
    return result


def unique_words(words):
    """Return the distinct words in order of first occurrence."""
    unique = []
    for word in words:
        if word not in unique:
            unique.append(word)
    return unique


def common_words(first, second):
    """Return the distinct words that occur in both lists, in order of first occurrence in the first."""
    common = []
    for word in first:
        for other in second:
            if word == other:
                if word not in common:
                    common.append(word)
    return common


def remove_stop_words(words):
    """Return the words that are not in STOP_WORDS, in order; only the lower-case spelling is a stop word."""
    kept = []
    for word in words:
        if word not in STOP_WORDS:
            kept.append(word)
    return kept


def count_ngrams(words, n):
    """Return a dict from each run of n neighbouring words, joined by single spaces, to how often it occurs.

    Runs may overlap; the order is that of first occurrence. Empty where there are fewer than n words, and
    for n <= 0.
    """
    if n <= 0:
        return {}
    grams = []
    for i in range(len(words) - n + 1):
        grams.append(" ".join(words[i : i + n]))
    counts = {}
    for gram in grams:
        counts[gram] = grams.count(gram)
    return counts


def concordance(words):
    """Return a dict from each distinct word to the ascending list of its positions.

    The first position is 0; the order of the words is that of first occurrence.
    """
    result = {}
    for word in words:
        if word not in result:
            positions = []
            for i in range(len(words)):
                if words[i] == word:
                    positions.append(i)
            result[word] = positions
    return result


def edit_distance(first, second):
    """Return the least number of steps that turn one word into the other.

    A step inserts, deletes or replaces one character.
    """
    if first == "":
        return len(second)
    if second == "":
        return len(first)
    replace = edit_distance(first[1:], second[1:])
    if first[0] != second[0]:
        replace = replace + 1
    delete = edit_distance(first[1:], second) + 1
    insert = edit_distance(first, second[1:]) + 1
    return min(replace, delete, insert)


def closest_word(word, candidates):
    """Return the candidate with the smallest edit distance to the word, the first of several.

    None where there are no candidates.
    """
    best = None
    best_distance = None
    for candidate in candidates:
        distance = edit_distance(word, candidate)
        if best_distance is None or distance < best_distance:
            best = candidate
            best_distance = distance
    return best


def caesar(text, shift):
    """Return the text with each letter a-z and A-Z moved `shift` places along the alphabet, round its end.

    Case is kept and all other characters stay. A negative shift moves back, so it undoes a positive one.
    """
    result = ""
    for character in text:
        if character in LOWER:
            result += LOWER[(LOWER.index(character) + shift) % 26]
        elif character in UPPER:
            result += UPPER[(UPPER.index(character) + shift) % 26]
        else:
            result += character
    return result


def find_all(text, pattern):
    """Return all positions where the pattern starts in the text, ascending; matches may overlap.

    An empty pattern is found nowhere.
    """
    positions = []
    if pattern == "":
        return positions
    for start in range(len(text) - len(pattern) + 1):
        matches = True
        for i in range(len(pattern)):
            if text[start + i] != pattern[i]:
                matches = False
                break
        if matches:
            positions.append(start)
    return positions


def palindromes(words):
    """Return the words of at least two characters that read the same backwards, in order, repeats too."""
    result = []
    for word in words:
        backwards = ""
        for character in word:
            backwards = character + backwards
        if len(word) >= 2 and word == backwards:
            result.append(word)
    return result


def line_starts(text):
    """Return the position in the text where each line starts; lines end with a newline character.

    A newline at the very end starts one more, empty line; the empty text has one line, at 0.
    """
    lengths = []
    for line in text.split("\n"):
        lengths.append(len(line) + 1)
    starts = []
    for i in range(len(lengths)):
        starts.append(sum(lengths[:i]))
    return starts


def title_case(text):
    """Return the text with the first character of every word upper case and the rest lower case.

    Here words are what `str.split` finds, and the result has single spaces between them.
    """
    result = ""
    for word in text.split():
        if result != "":
            result += " "
        result += word[0].upper() + word[1:].lower()
    return result


def longest_word(words):
    """Return the longest word, the first of several; the empty string for no words."""
    longest = ""
    for word in words:
        if len(word) > len(longest):
            longest = word
    return longest
