"""Text, as a beginner writes it."""

import re


def reverse_words(text):
    words = text.split()
    result = ""
    i = len(words) - 1
    while i >= 0:
        result = result + words[i]
        if i > 0:
            result = result + " "
        i = i - 1
    return result


def count_vowels(text):
    count = 0
    for letter in text:
        if letter.lower() in ["a", "e", "i", "o", "u"]:
            count = count + 1
    return count


def is_pangram(text):
    for letter in "abcdefghijklmnopqrstuvwxyz":
        found = False
        for character in text:
            if character.lower() == letter:
                found = True
        if not found:
            return False
    return True


def run_length_encode(text):
    result = ""
    i = 0
    while i < len(text):
        count = 1
        while i + count < len(text) and text[i + count] == text[i]:
            count += 1
        result += str(count) + text[i]
        i += count
    return result


def most_common_letter(text):
    best = ""
    best_count = 0
    for letter in text:
        if text.count(letter) > best_count:
            best = letter
            best_count = text.count(letter)
    return best


def are_anagrams(first, second):
    letters = list(second)
    for letter in first:
        if letter in letters:
            letters.remove(letter)
        else:
            return False
    return len(letters) == 0


def longest_palindrome(text):
    longest = ""
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            piece = text[start:end]
            if piece == piece[::-1] and len(piece) > len(longest):
                longest = piece
    return longest


def vigenere(text: str, key: str) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    result = ""
    position = 0
    for letter in text:
        if letter in alphabet:
            shift = alphabet.index(key[position % len(key)])
            result += alphabet[(alphabet.index(letter) + shift) % 26]
            position += 1
        else:
            result += letter
    return result


def snake_case(names):
    result = []
    for name in names:
        new = ""
        for i in range(len(name)):
            if name[i].isupper() and i > 0:
                new += "_"
            new += name[i].lower()
        result.append(new)
    return result


def mask_numbers(lines):
    result = []
    for line in lines:
        pattern = re.compile("[0-9]+")
        result.append(pattern.sub("#", line))
    return result


def words_with_letter(words, letter):
    result = []
    for word in words:
        has = False
        for character in word:
            if character == letter:
                has = True
                break
        if has:
            result.append(word)
    return result
