"""Somebody's folder of prompts and scripts -> the tasks of a vault, with what was guessed. Reads files.

A prompt is a text that speaks to a model; with the scripts and settings beside it, it makes a task. What is
neither is what the tasks read. The checks of a task are those that its prompt's own words name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from optiloop.errors import UsageError

MOST_BYTES = 20 * 2**20
"""Of all texts that are copied: a vault of a size that a heartbeat can read."""
_TEXTS = frozenset({".md", ".txt", ".log", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".toml"})
_PROMPTS = frozenset({".md", ".txt", ".prompt"})
_SCRIPTS = frozenset({".sh", ".bash"})
_SETTINGS = frozenset({".toml", ".json", ".yaml", ".yml"})
_POST = re.compile(r"post|clean|strip|format|filter", re.IGNORECASE)
_SPEAKS = re.compile(
    r"(?:you are|write|list|summari[sz]e|name|read|answer|repeat|reflect|draft|turn|extract|judge|make|say|"
    r"tell|give|rewrite|translate|explain|describe|classify|find|pick|choose|create|generate|review|plan)\b",
    re.IGNORECASE,
)
_SLOT = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}|(?<!\{)\{([a-z_]+)\}(?!\})")
_COUNT = re.compile(
    r"\b(?:(?P<bound>at least|at most|no more than|up to|exactly|in|of|under|about)\s+)?"
    r"(?P<low>\d+|two|three|four|five|six|seven|eight|nine|ten)(?:\s*(?:-|–|to|or)\s*(?P<high>\d+))?\s+"
    r"(?:[a-z]+ )?(?P<noun>bullets?(?: points?)?|lines?|words?|sentences?)\b",
    re.IGNORECASE,
)
_NUMBERS = {
    word: count
    for count, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=2
    )
}
_ALL_TEXTS = """\
# What the prompt is given: the newest lines of all texts.
find . -type f -exec tail -q -n 20 {} +
"""
_CHOICE = re.compile(
    r"\b(?i:one word|say|answer)\b[^.\n]*?\b([A-Z]{2,})\b[^.\n]*?\bor\b[^.\n]*?\b([A-Z]{2,})\b"
)
_PROSE = re.compile(r"\b(?:sentences?|paragraphs?|note|post|summary)\b", re.IGNORECASE)
_MOST = ("at most", "no more than", "up to", "under")
_PROSE_WORDS = 20
"""A text of so many words ends with a full stop; a title does not."""
_WORDS_A_SENTENCE = (4, 40)


@dataclass
class Found:
    """One task to be: its files by their names in its folder, its settings, and what was guessed of it."""

    name: str
    prompt: str = ""
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Adopted:
    """A folder as a vault: texts by their paths in the target, what may be edited, and what was guessed."""

    files: Mapping[str, str]
    tasks: tuple[str, ...]
    editable: tuple[str, ...]
    models: tuple[str, ...]
    guesses: tuple[str, ...]


def adopt(folder: Path, today: str) -> Adopted:
    """Map a folder to a vault. Raises UsageError where it is none, holds no prompt, or is too large."""
    texts = read_texts(folder)
    found: dict[str, Found] = {}
    for task in tasks_in(texts):
        while task.name in found:
            task.name += "-too"
        found[task.name] = task
    if not found:
        raise UsageError(
            f"{folder}: no prompt there; name a .md file that speaks to a model ('Write ...') X.prompt.md"
        )
    used = {path for task in found.values() for path in task.settings.pop("_used")}
    data = {f"vault/{path}": text for path, text in texts.items() if path not in used}
    files = {**data, "vault/expected.toml": f'# What the checks compare with.\ntoday = "{today}"\n'}
    for name, task in sorted(found.items()):
        written, rubric = written_task(task, sorted(found), has_data=bool(data))
        files |= {f"tasks/{name}/{file}": text for file, text in written.items()}
        files[f"rubrics/{name}.toml"] = rubric
    models = dict.fromkeys(task.settings.get("model", "") for task in found.values())
    guesses = [f"{name}: {guess}" for name, task in sorted(found.items()) for guess in task.guesses]
    guesses.append(f"vault/ holds {len(data)} texts that are neither prompt, script nor settings")
    return Adopted(
        files,
        tuple(sorted(found)),
        tuple(sorted(path for path in files if path.startswith("tasks/"))),
        tuple(f"ollama:{model}" for model in models if model),
        tuple(guesses),
    )


def read_texts(folder: Path) -> dict[str, str]:
    """The texts of a folder by their paths; hidden files, and what is no text, are left out."""
    if not folder.is_dir():
        raise UsageError(f"--from {folder}: no such folder")
    texts: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        known = file.suffix.lower() in _TEXTS | _SCRIPTS | _PROMPTS
        if any(part.startswith(".") for part in path.parts) or not known or not file.is_file():
            continue
        try:
            texts[path.as_posix()] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        except OSError as error:
            raise UsageError(f"{file}: cannot read it: {error.strerror}") from None
        if sum(map(len, texts.values())) > MOST_BYTES:
            raise UsageError(f"{folder}: more than {MOST_BYTES // 2**20} MiB of text; name a smaller folder")
    return texts


def tasks_in(texts: Mapping[str, str]) -> Iterator[Found]:
    """Each prompt with what lies beside it under its name, or alone with it in a folder; and lone scripts."""
    prompts = [path for path, text in texts.items() if is_prompt(path, text)]
    scripts = [path for path in texts if PurePosixPath(path).suffix in _SCRIPTS]
    taken: set[str] = set()
    for path in prompts:
        place = PurePosixPath(path)
        alone = sum(PurePosixPath(other).parent == place.parent for other in prompts) == 1
        own_folder = alone and str(place.parent) not in (".", "prompts")
        task = Found(_named(place.parent.name if own_folder else place.stem), prompt=texts[path])
        beside = [
            other
            for other in texts
            if other != path
            and PurePosixPath(other).parent == place.parent
            and (own_folder or PurePosixPath(other).stem.split(".")[0] == place.stem)
        ]
        used = [path, *_take(task, beside, texts)]
        taken.update(used)
        yield Found(task.name, task.prompt, task.files, {**task.settings, "_used": used}, task.guesses)
    for path in scripts:
        if path not in taken and not _POST.search(PurePosixPath(path).stem):
            task = Found(_named(PurePosixPath(path).stem), files={"collect.sh": texts[path]})
            task.guesses.append(f"{path} has no prompt: a task of a script alone")
            yield Found(task.name, "", task.files, {"_used": [path]}, task.guesses)


def is_prompt(path: str, text: str) -> bool:
    """Whether a text speaks to a model: by its name, its folder, a slot, or its first words."""
    place = PurePosixPath(path)
    if place.suffix not in _PROMPTS or place.stem.lower() in ("readme", "changelog", "license"):
        return False
    if "prompt" in place.name.lower() or "prompts" in place.parts[:-1] or place.suffix == ".prompt":
        return True
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and (_SLOT.search(text) is not None or _SPEAKS.match(lines[0].strip()) is not None)


def _take(task: Found, beside: list[str], texts: Mapping[str, str]) -> list[str]:
    """Give a task the scripts and settings beside its prompt; returns which were taken."""
    used = []
    for path in beside:
        place = PurePosixPath(path)
        if place.suffix in _SCRIPTS:
            name = "post.sh" if _POST.search(place.stem) else "collect.sh"
            if name not in task.files:
                task.files[name] = texts[path]
                task.guesses.append(f"{path} is its {name}")
                used.append(path)
        elif place.suffix in _SETTINGS and (said := _settings(place.suffix, texts[path])):
            task.settings |= said
            used.append(path)
    return used


def _settings(suffix: str, text: str) -> dict[str, Any]:
    """What a settings file says of model, room and temperature; empty where it says none of it."""
    import yaml

    try:
        read = {".toml": tomllib.loads, ".json": json.loads}.get(suffix, yaml.safe_load)
        said = read(text)
    except (ValueError, yaml.YAMLError):
        return {}
    flat = {**said, **said.get("options", {})} if isinstance(said, dict) else {}
    renamed = {"max_tokens": "num_predict", "max_new_tokens": "num_predict"}
    known = {renamed.get(key, key): value for key, value in flat.items()}
    kinds: dict[str, type | tuple[type, ...]] = {
        **dict.fromkeys(("num_predict", "num_ctx"), int),
        "model": str,
        "temperature": (int, float),
        "think": bool,
    }
    return {key: known[key] for key, kind in kinds.items() if isinstance(known.get(key), kind)}


def _named(stem: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[._-]?prompt$", "", stem.lower())).strip("-") or "task"


# --- one task ----------------------------------------------------------------------------------------


def written_task(task: Found, tasks: list[str], *, has_data: bool) -> tuple[dict[str, str], str]:
    """The files of a task's folder by name, and its rubric."""
    files = dict(task.files)
    prompt, after = _with_slots(task, tasks)
    if prompt:
        files["prompt.md"] = prompt
        if "{{facts}}" in prompt and "collect.sh" not in files:
            files["collect.sh"] = _ALL_TEXTS
            task.guesses.append("it had no collector: collect.sh hands it the last lines of all texts")
    said = task.settings
    lines = [
        f"pool = {json.dumps(['worker'] if prompt else [])}",
        f"num_predict = {said.get('num_predict', 256)}",
        f"num_ctx = {said.get('num_ctx', 4096)}",
        f"temperature = {float(said.get('temperature', 0.0))}",
        f"think = {json.dumps(said.get('think', False))}",
        f"collect = {json.dumps('collect.sh' if 'collect.sh' in files else '')}",
        f"post = {json.dumps('post.sh' if 'post.sh' in files else '')}",
    ]
    files["task.toml"] = "\n".join(lines) + "\n"
    return files, rubric(task, after, has_data=has_data)


def _with_slots(task: Found, tasks: list[str]) -> tuple[str, list[str]]:
    """The prompt with our slots in place of its own, and the tasks whose outputs it reads."""
    after: list[str] = []

    def slot(hit: re.Match[str]) -> str:
        name = (hit[1] or hit[2]).lower()
        other = _named(name)
        if other in tasks and other != task.name:
            after.append(other)
            return "{{" + other + "}}"
        if name in ("today", "date"):
            return "{{today}}"
        task.guesses.append(f"{hit[0]} in its prompt is what its collector prints")
        return "{{facts}}"

    prompt = _SLOT.sub(slot, task.prompt)
    if prompt and "{{" not in prompt:
        prompt = f"{prompt.rstrip()}\n\n{{{{facts}}}}\n"
        task.guesses.append("its prompt had no slot: what its collector prints comes at the end")
    script = "\n".join(task.files.values())
    after += [other for other in tasks if re.search(rf"(?<![\w-]){re.escape(other)}\.txt", script)]
    return prompt, sorted(set(after))


def rubric(task: Found, after: list[str], *, has_data: bool) -> str:
    """The rubric of a task: the checks that its prompt's own words name."""
    checks = list(checks_in(task.prompt))
    task.guesses.append(f"judged by {', '.join(kind for kind, _, _ in checks) or 'nothing but an exit code'}")
    lines = [
        "# Guessed from the prompt's own words; docs/vault.md says what checks there are.",
        f"inputs = {json.dumps(['**/*'] if has_data else [])}",
        f"after = {json.dumps(after)}",
        "seconds = 60",
    ]
    for kind, arguments, cap in checks:
        lines += ["", "[[check]]", f'kind = "{kind}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in arguments.items()]
        lines.append(f"cap = {cap}")
    return "\n".join(lines) + "\n"


def checks_in(prompt: str) -> Iterator[tuple[str, dict[str, Any], float]]:
    """The checks that a prompt's words name: kind, arguments, cap."""
    if not prompt:
        return
    counts: dict[str, dict[str, Any]] = {}
    for hit in _COUNT.finditer(prompt):
        if hit["noun"].lower().startswith("line") and "- " not in prompt:
            continue
        counts.setdefault(*_counted(hit))
    for kind, bounds in counts.items():
        yield kind, bounds, 2.5
    if keys := _header_keys(prompt):
        yield "front_matter", {"keys": keys}, 2.0
    if choice := _CHOICE.search(prompt):
        yield "verdict", {"words": [choice[1], choice[2]]}, 2.5
    elif counts.get("words", {}).get("least", 0) >= _PROSE_WORDS or _PROSE.search(prompt):
        yield "whole", {}, 3.0
    yield "clean", {}, 3.0
    if re.search(r"(?im)^[^\n]*\bexamples?\b[^\n]*:\s*$", prompt):
        yield "fresh", {"most": 0.3}, 2.0


def _counted(hit: re.Match[str]) -> tuple[str, dict[str, Any]]:
    """The check of a count, with its bounds; a sentence counts as 4 to 40 words, a word within a quarter."""
    low = _NUMBERS.get(hit["low"].lower()) or int(hit["low"])
    high = int(hit["high"]) if hit["high"] else low
    bound = (hit["bound"] or "").lower()
    noun = hit["noun"].lower()
    if noun.startswith("word") and bound not in ("exactly", "at least", *_MOST):
        low, high = low * 3 // 4, -(-high * 5 // 4)
    if noun.startswith("sentence"):
        low, high = low * _WORDS_A_SENTENCE[0], high * _WORDS_A_SENTENCE[1]
    bounds = {"least": low, "most": high}
    if bound in _MOST:
        bounds["least"] = 1
    if bound == "at least":
        del bounds["most"]
    kind = "items" if noun.startswith(("bullet", "line")) else "words"
    return kind, bounds


def _header_keys(prompt: str) -> list[str]:
    """The keys of a header that the prompt shows between two lines `---`."""
    shown = re.search(r"(?m)^---\n(.*?)\n---$", prompt, re.DOTALL)
    return re.findall(r"(?m)^([\w-]+):", shown[1]) if shown else []
