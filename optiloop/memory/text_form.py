"""The normal form of files that are not Python: configurations, prompts, and code of other languages. Pure.

Equal only where whoever reads the file reads the same; what cannot be told is left as it stands, but for
spaces at the ends of lines.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any


def text_form(path: str, text: str) -> str:
    """Return the normal form of one file; its name's ending tells how it is read."""
    suffix = PurePosixPath(path).suffix.lower()
    text = text.replace("\r\n", "\n")
    read = _READERS.get(suffix)
    form = read(text) if read else _code(_LANGUAGES[suffix], text) if suffix in _LANGUAGES else None
    return _without_trailing_space(text) if form is None else form


def _without_trailing_space(text: str) -> str:
    return "\n".join(map(_trimmed, text.split("\n"))).rstrip("\n")


def _trimmed(line: str) -> str:
    """A backslash before spaces is not one before the end of the line."""
    short = line.rstrip()
    return line if short.endswith("\\") else short


# --- configurations, by key ---------------------------------------------------------------------------
# The order of keys stays everywhere: a reader may depend on it, as those do that keep a table as a dict.


def _json(text: str) -> str | None:
    try:
        return json.dumps(json.loads(text, object_pairs_hook=_Pairs, parse_float=_decimal))
    except (ValueError, RecursionError):
        return None


class _Pairs(dict[str, Any]):
    """An object of JSON; one that says a key twice is left to its reader."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) != len(pairs):
            raise ValueError("a key stands twice")


def _decimal(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is too large")
    return number


def _toml(text: str) -> str | None:
    try:
        return repr(tomllib.loads(text, parse_float=_toml_float))
    except (ValueError, RecursionError):
        return None


def _toml_float(digits: str) -> float:
    return float(digits) if digits.endswith(("inf", "nan")) else _decimal(digits)


_YAML_NUMBER = re.compile(r"[-+]?(0|[1-9]\d*)(\.\d*)?([eE][-+]\d+)?")


def _yaml(text: str) -> str | None:
    """Scalars with their types, as versions 1.1 and 1.2 both read them; `yes` and `0o7` stay as written."""
    import yaml  # only a target with a YAML file pays for it

    try:
        nodes = list(yaml.compose_all(text, yaml.SafeLoader))
        return repr([_first_line(text), [_yaml_node(node, {}) for node in nodes]])
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _first_line(text: str) -> str:
    """`#cloud-config`, `#!`: a first line that tells programs what the file is."""
    found = re.match(r"#\S.*", text)
    return found.group().rstrip() if found else ""


def _yaml_node(node: Any, seen: dict[int, int]) -> object:
    """One node with all below it; one met before, by an alias, is written as its number."""
    if node is None:
        return None
    if id(node) in seen:
        return ["alias", seen[id(node)]]
    seen[id(node)] = len(seen)
    if isinstance(node.value, str):
        return [node.tag, _yaml_scalar(node.tag.rpartition(":")[2], node.value)]
    if node.id == "mapping":
        return [node.tag, [[_yaml_node(key, seen), _yaml_node(value, seen)] for key, value in node.value]]
    return [node.tag, [_yaml_node(item, seen) for item in node.value]]


def _yaml_scalar(kind: str, text: str) -> object:
    if kind in {"int", "float"} and _YAML_NUMBER.fullmatch(text):
        return int(text) if kind == "int" else _decimal(text)
    if kind == "bool" and text.lower() in {"true", "false"}:
        return text.lower()
    return text


# --- prompts, by word ---------------------------------------------------------------------------------

_FENCE = re.compile(r"\s*(```+|~~~+)")
_BEGINS_ANEW = re.compile(r"[-*+>|#:<]|\d+[.)]|\{[%{#]|[A-Z]\w*:|=+$")
_STANDS_ALONE = re.compile(r"[#|<]|\{[%#]|.*(%\}|#\}|[|:\\>])$")
_WORDS_OF_PROSE = 8


def _prompt(text: str) -> str:
    """Words in their order; runs of blanks, and how a paragraph of prose is wrapped, do not count.

    Headings, items of lists, quotes, tables, tags, labels and lines of templates begin anew; what is
    indented or fenced stays as it stands.
    """
    blocks: list[str] = []
    paragraph: list[str] = []
    fence = ""
    for line in text.split("\n"):
        words = " ".join(line.split())
        mark = _FENCE.match(line)
        verbatim = bool(fence or mark) or line.startswith((" ", "\t"))
        if verbatim or not words or _BEGINS_ANEW.match(words):
            blocks += _paragraph(paragraph)
            paragraph = []
        if verbatim:
            blocks.append(line if fence else line.rstrip())
            fence = _fence_after(fence, mark, line)
        elif words:
            paragraph.append(words)
            if _STANDS_ALONE.match(words) or line.endswith("  "):
                blocks += _paragraph(paragraph)
                paragraph = []
        elif blocks and blocks[-1]:
            blocks.append("")
    return "\n".join(blocks + _paragraph(paragraph)).rstrip("\n")


def _fence_after(fence: str, mark: re.Match[str] | None, line: str) -> str:
    """The fence that is open after a line: the one before, a new one, or none."""
    if mark is None:
        return fence
    if not fence:
        return mark.group(1)
    closes = mark.group(1).startswith(fence) and not line[mark.end() :].strip()
    return "" if closes else fence


def _paragraph(lines: list[str]) -> list[str]:
    """Join lines that are prose, which ends as a sentence does; a list of words or numbers is none."""
    whole = " ".join(lines)
    is_prose = len(whole.split()) >= _WORDS_OF_PROSE and whole.endswith((".", "!", "?"))
    return [whole] if is_prose else lines


# --- code of other languages, by token ----------------------------------------------------------------

_LANGUAGES = {
    ".c": "c",
    ".h": "cpp",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hpp": "cpp",
    ".cu": "cuda",
    ".java": "java",
    ".rs": "rust",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".go": "go",
    ".css": "css",
    ".sql": "sql",
}
_LINES_COUNT = frozenset({"javascript", "typescript", "go"})
_BLANKS_COUNT = frozenset({"css", "sql"})
_C = frozenset({"c", "cpp", "cuda"})
# Where a program can see its own layout, or a comment is code.
_SEES_LAYOUT = re.compile(
    r"""__LINE__|\b(line|column|stringify)!|\bsource_location\b|^import\s+"C"|"""
    r"^[ \t]*#[ \t]*define\b(.|\\\n)*?\S.*#",
    re.MULTILINE,
)
# Two signs that would be read as one, were they written together.
_SIGNS = """
++ -- += -= -> == <= >= << >> && || != *= /= %= ^= |= &= // /* */ :: => ** ?? <- &^ := =~ ~= <: :> %: <% %> !!
<! =< |> <> .* ?: ?.
"""
_JOINED = frozenset(_SIGNS.split())
_WORDLIKE = frozenset("_.$#@'\"`")
_PROSE = re.compile(r"(?://+|/\*\*?|--)(?=\s)\s*(?![@#+!$<])(?![\w.]*[-:=/]\S)")
_DIRECTIVE = re.compile(
    r"@\w|\b(ignore|nolint|nosec|pragma|eslint|prettier|istanbul|webpack|sourcemappingurl|fallthrough|c8|v8)\b",
    re.IGNORECASE,
)


def _code(language: str, text: str) -> str | None:
    """The text without comments and blanks that separate nothing; None where it is not understood."""
    tokens = None if _SEES_LAYOUT.search(text) else _tokens(language, text)
    return None if tokens is None else "".join(_spaced(language, tokens))


@dataclass(frozen=True)
class _Token:
    """A piece of text: a blank may be left out, a whole line of a preprocessor stays as it is."""

    text: str
    blank: bool = False
    line: bool = False


def _tokens(language: str, text: str) -> list[_Token] | None:
    from pygments.lexers import get_lexer_by_name  # only code of another language pays for it
    from pygments.token import Comment, Error, Text

    found: list[_Token] = []
    line = ""
    for kind, piece in _pieces(get_lexer_by_name(language, stripnl=False, ensurenl=False).get_tokens(text)):
        if kind in Error:
            return None
        if language in _C and (line or (kind in Comment.Preproc and piece.startswith("#"))):
            line += piece
            if line.endswith("\n") and not line.endswith("\\\n"):
                found.append(_Token(line.rstrip(), line=True))
                line = ""
        elif kind in Text and not piece.strip():
            found.append(_Token(piece, blank=True))
        elif kind in Comment and kind not in Comment.Preproc and _is_prose(piece):
            found.append(_Token("\n" if "\n" in piece else " ", blank=True))
        else:
            found.append(_Token(piece))
    return [*found, _Token(line.rstrip(), line=True)] if line else found


def _pieces(tokens: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, str]]:
    """Tokens, those of one comment together."""
    from pygments.token import Comment

    for kind, run in groupby(tokens, key=lambda token: token[0]):
        if kind in Comment.Multiline:
            yield kind, "".join(piece for _, piece in run)
        else:
            yield from run


def _is_prose(comment: str) -> bool:
    return bool(_PROSE.match(comment)) and comment.count("/*") < 2 and not _DIRECTIVE.search(comment)


def _spaced(language: str, tokens: list[_Token]) -> Iterator[str]:
    """The tokens, with such blanks and ends of lines between them as may count."""
    last, gap = "", ""
    for token in tokens:
        if token.blank:
            gap += token.text
            continue
        if token.line:
            yield f"\n{token.text}\n"
        else:
            if last and "\n" in gap and language in _LINES_COUNT:
                yield "\n"
            elif last and gap and (language in _BLANKS_COUNT or _would_join(last[-1], token.text[0])):
                yield " "
            yield token.text
        last, gap = ("" if token.line else token.text), ""


def _would_join(left: str, right: str) -> bool:
    """Whether two signs could be read otherwise without the blank between them."""
    words = (left.isalnum() or left in _WORDLIKE) and (right.isalnum() or right in _WORDLIKE)
    return words or left + right in _JOINED


_READERS: dict[str, Callable[[str], str | None]] = {
    ".json": _json,
    ".toml": _toml,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".md": _prompt,
    ".txt": _prompt,
    ".prompt": _prompt,
    ".j2": _prompt,
}
