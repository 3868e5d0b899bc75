"""Rules for what is no program: prompts, and configuration in JSON, YAML and TOML.

A prompt costs by its length each time it is read. Of a configuration one value is changed, everything else
keeps its bytes; a change that does more than that when the file is read again is not proposed.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from optiloop.proposers.rewrite.rule import Edit, Language, Rule, Site

# --- prompts ------------------------------------------------------------------------------------------

_SHORTEST_REPEAT = 20
_WORDY = (
    ("in order to", "to"),
    ("due to the fact that", "because"),
    ("in the event that", "if"),
    ("at this point in time", "now"),
    ("for the purpose of", "for"),
    ("with regard to", "about"),
    ("a large number of", "many"),
    ("the majority of", "most"),
    ("is able to", "can"),
    ("please note that ", ""),
    ("it is important to note that ", ""),
    ("it should be noted that ", ""),
    ("as mentioned above, ", ""),
)


def _is_prompt(path: str, text: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name.endswith(".prompt") or ("prompt" in name and name.endswith((".md", ".txt")))


PROMPT = Language("prompt", _is_prompt, str)


def repeated_line(text: str) -> Iterator[Site]:
    """Say a thing once: take a line out of a prompt that stands there already, word for word.

    Fewer tokens at each call, by the length of the line. Source: prompt compression by redundancy (Jiang et
    al. 2023, LLMLingua, section 1).
    """
    seen: set[str] = set()
    at, fenced = 0, False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        said = line.strip()
        fenced ^= said.startswith("```")
        if said in seen and len(said) >= _SHORTEST_REPEAT and not fenced:
            what = f"said before: {said[:40]}"
            yield Site("", number, what, text, (Edit(at, at + len(line), ""),))
        seen.add(said)
        at += len(line)


def wordy_phrase(text: str) -> Iterator[Site]:
    """Say it in fewer words, wherever the phrase stands.

    Fewer tokens at each call, one to five per phrase. Source: Strunk, The Elements of Style, 13.
    """
    for phrase, short in _WORDY:
        hits = list(re.finditer(rf"\b{re.escape(phrase)}(\w?)", text, re.IGNORECASE))
        hits = [hit for hit in hits if phrase.endswith(" ") or not hit[1]]
        if hits:
            edits = tuple(Edit(hit.start(), hit.end(), _cased(hit, short)) for hit in hits)
            line = text.count("\n", 0, hits[0].start()) + 1
            yield Site("", line, f"{phrase.strip()!r} -> {short!r}, {len(hits)} times", text, edits)


def _cased(hit: re.Match[str], short: str) -> str:
    new = short + hit[1]
    return new[:1].upper() + new[1:] if hit[0][0].isupper() else new


def blank_space(text: str) -> Iterator[Site]:
    """Drop white space that says nothing: at the ends of lines, and more than one empty line.

    Fewer tokens at each call. Source: byte-pair encodings have tokens for runs of white space.
    """
    hits = list(re.finditer(r"[ \t]+(?=\n)|(?<=\n\n)\n+", text))
    if hits and "```" not in text:
        line = text.count("\n", 0, hits[0].start()) + 1
        edits = tuple(Edit(hit.start(), hit.end(), "") for hit in hits)
        yield Site("", line, f"white space without a meaning, {len(hits)} places", text, edits)


# --- configuration ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """A configuration file as rules see it: its text, and how to read such a text."""

    text: str
    read: Callable[[str], Any]

    def leaves(self, text: str) -> dict[tuple[object, ...], object]:
        """Each value of a text by its path; empty where it cannot be read."""
        try:
            return dict(_leaves(self.read(text), ()))
        except ValueError:
            return {}


def _leaves(data: object, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _leaves(value, (*path, number))
    else:
        yield path, data


def read_yaml(text: str) -> Any:
    """What a YAML text says. Raises ValueError where it is none."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _json(text: str) -> Config:
    json.loads(text)
    return Config(text, json.loads)


def _toml(text: str) -> Config:
    tomllib.loads(text)
    return Config(text, tomllib.loads)


JSON = Language("JSON", lambda path, text: path.endswith(".json"), _json)
TOML = Language("TOML", lambda path, text: path.endswith(".toml"), _toml)
YAML = Language(
    "YAML", lambda path, text: path.endswith((".yaml", ".yml")), lambda text: Config(text, read_yaml)
)

_DEBUG = re.compile(r"""(?im)^\s*["']?(\w*(?:debug|profiling|tracing|verbose)\w*)["']?\s*[:=]\s*(true)\b""")
_LEVEL = re.compile(
    r"""(?im)^\s*["']?((?:log[_-]?)?level|log[_-]?level|loglevel)["']?\s*[:=]\s*["']?(debug|trace|all)\b"""
)


def debug_off(config: Config) -> Iterator[Site]:
    """Switch debugging, profiling and tracing off.

    What it costs depends on the program, often a factor. Source: the twelve-factor app, III and XI.
    """
    yield from _changed(config, _DEBUG, lambda word: "false", "switched off")


def quiet_log(config: Config) -> Iterator[Site]:
    """Log warnings, not every step.

    What it costs depends on the program: each line is formatted and written. Source: the Python logging
    HOWTO, optimization.
    """
    yield from _changed(config, _LEVEL, lambda word: "WARNING" if word.isupper() else "warning", "-> warning")


def _changed(
    config: Config, pattern: re.Pattern[str], new: Callable[[str], str], what: str
) -> Iterator[Site]:
    for hit in pattern.finditer(config.text):
        edit = Edit(hit.start(2), hit.end(2), new(hit[2]))
        line = config.text.count("\n", 0, hit.start(2)) + 1
        site = Site("", line, f"{hit[1]}: {hit[2]} {what}", config.text, (edit,))
        before, after = config.leaves(config.text), config.leaves(site.text)
        differ = [key for key in before if key not in after or before[key] != after[key]]
        whole = len(differ) == 1 and str(before[differ[0]]).lower() == hit[2].lower()
        if whole and before.keys() == after.keys():
            yield site


def compact_json(config: Config) -> Iterator[Site]:
    """Write JSON without the white space that only people need.

    Fewer bytes to read and to send, by a quarter to a half. Source: RFC 8259, section 2.
    """
    small = json.dumps(json.loads(config.text), ensure_ascii=False, separators=(",", ":")) + "\n"
    same_numbers = re.findall(r"-?\d[\d.eE+-]*", small) == re.findall(r"-?\d[\d.eE+-]*", config.text)
    if len(small) < len(config.text) and same_numbers:
        yield Site("", 1, "white space dropped", config.text, (Edit(0, len(config.text), small),))


RULES = (
    Rule("repeated-line", PROMPT, 1.05, repeated_line, measured=False),
    Rule("wordy-phrase", PROMPT, 1.02, wordy_phrase, measured=False),
    Rule("blank-space", PROMPT, 1.01, blank_space, measured=False),
    Rule("json-debug-off", JSON, 1.3, debug_off, measured=False),
    Rule("json-quiet-log", JSON, 1.3, quiet_log, measured=False),
    Rule("json-compact", JSON, 1.3, compact_json, measured=False),
    Rule("toml-debug-off", TOML, 1.3, debug_off, measured=False),
    Rule("toml-quiet-log", TOML, 1.3, quiet_log, measured=False),
    Rule("yaml-debug-off", YAML, 1.3, debug_off, measured=False),
    Rule("yaml-quiet-log", YAML, 1.3, quiet_log, measured=False),
)
