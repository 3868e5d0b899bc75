"""The coding agents that are known by name: how each is called, and how it says what it cost.

The lines are from the programs' own help and documentation (docs/agents.md says which versions).
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """An agent's last words, and what it says that it used; 0 of what it does not say."""

    said: str
    usd: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True)
class Known:
    """A coding agent.

    `line` is run by a shell in the copy, with the brief as its stdin, or with the file that holds it in the
    place of {brief}; {files} are the files that may be edited, {budget} is the option `budget` with the
    dollars that are left. `mend` says how to get it, `state` what it must be able to change of its own:
    a folder that ends in a slash is made for it. `tells` are the limits of a run that it can be held to: its
    output, which `told` reads, says what it used.
    """

    line: str
    mend: str
    state: tuple[str, ...]
    told: Callable[[str], Told]
    tells: tuple[str, ...] = ()
    budget: str = ""


def installed() -> list[str]:
    """The names of the known agents that are installed here."""
    return [name for name in AGENTS if shutil.which(name)]


# --- what they print ---------------------------------------------------------------------------------


def as_text(output: str) -> Told:
    """Of an agent that prints words."""
    return Told(output)


def _claude(output: str) -> Told:
    for record in _records(output):
        if "total_cost_usd" in record or record.get("type") == "result":
            usage = _table(record, "usage")
            tokens = sum(_count(number) for name, number in usage.items() if name in _CLAUDE_INPUT)
            said = str(record.get("result") or record.get("subtype") or "")
            return Told(
                said, _number(record.get("total_cost_usd")), tokens, _count(usage.get("output_tokens"))
            )
    return as_text(output)


_CLAUDE_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _codex(output: str) -> Told:
    said, tokens_in, tokens_out, found = "", 0, 0, False
    for record in _records(output):
        found = found or str(record.get("type")).startswith(("thread.", "turn.", "item."))
        item, usage = _table(record, "item"), _table(record, "usage")
        if item.get("type") == "agent_message":
            said = str(item.get("text"))
        if error := record.get("message") or _table(record, "error").get("message"):
            said = str(error)
        tokens_in += _count(usage.get("input_tokens"))
        tokens_out += _count(usage.get("output_tokens"))
    return Told(said, 0.0, tokens_in, tokens_out) if found else as_text(output)


def _gemini(output: str) -> Told:
    for record in _records(output):
        if "response" in record or "stats" in record:
            models = _table(_table(record, "stats"), "models").values()
            used = [_table(model, "tokens") for model in models if isinstance(model, dict)]
            total = sum(_count(tokens.get("total")) for tokens in used)
            prompt = sum(_count(tokens.get("prompt")) for tokens in used)
            said = record.get("response") or _table(record, "error").get("message") or ""
            return Told(str(said), 0.0, prompt, max(0, total - prompt))
    return as_text(output)


def _opencode(output: str) -> Told:
    said, usd, tokens_in, tokens_out, found = "", 0.0, 0, 0, False
    for record in _records(output):
        part = _table(record, "part")
        if record.get("type") == "text":
            said, found = str(part.get("text")), True
        if record.get("type") == "step_finish":
            tokens, found = _table(part, "tokens"), True
            usd += _number(part.get("cost"))
            cache = _table(tokens, "cache")
            tokens_in += _count(tokens.get("input")) + _count(cache.get("read")) + _count(cache.get("write"))
            tokens_out += _count(tokens.get("output")) + _count(tokens.get("reasoning"))
    return Told(said, usd, tokens_in, tokens_out) if found else as_text(output)


def _pi(output: str) -> Told:
    said, usd, tokens_in, tokens_out, found = "", 0.0, 0, 0, False
    for record in _records(output):
        message = _table(record, "message")
        if record.get("type") != "message_end" or message.get("role") != "assistant":
            continue
        usage, content, found = _table(message, "usage"), message.get("content"), True
        parts = content if isinstance(content, list) else []
        words = [
            str(part.get("text")) for part in parts if isinstance(part, dict) and part.get("type") == "text"
        ]
        said = "\n".join(words) or str(message.get("errorMessage") or said)
        usd += _number(_table(usage, "cost").get("total"))
        tokens_in += sum(_count(usage.get(name)) for name in ("input", "cacheRead", "cacheWrite"))
        tokens_out += _count(usage.get("output"))
    return Told(said, usd, tokens_in, tokens_out) if found else as_text(output)


def _aider(output: str) -> Told:
    """Its last report; large numbers of tokens are rounded to thousands."""
    told = Told(output)
    for sent, received, usd in _AIDER.findall(output):
        told = Told(output, _number(float(usd or 0)), _thousands(sent), _thousands(received))
    return told


_AIDER = re.compile(
    r"^Tokens:\s(\d+(?:\.\d)?k?)\ssent,\s(?:[\d.]+k?\scache\s(?:write|hit),\s){0,2}(\d+(?:\.\d)?k?)\sreceived\."
    r"(?:\sCost:\s\$[\d.]+\smessage,\s\$(\d+(?:\.\d+)?)\ssession)?",
    re.MULTILINE,
)


def _thousands(text: str) -> int:
    return round(float(text.removesuffix("k")) * (1000 if text.endswith("k") else 1))


def _records(output: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that begin a line, of one line or of several."""
    decoder, at = json.JSONDecoder(), 0 if output.startswith("{") else output.find("\n{") + 1
    while at or output.startswith("{"):
        try:
            value, at = decoder.raw_decode(output, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield value
        following = output.find("\n{", at)
        if following < 0:
            return
        at = following + 1


def _table(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    """A number that can be a cost; 0 where it is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return 0.0
    return max(0.0, float(value))


def _count(value: object) -> int:
    return int(_number(value))


# --- the table ---------------------------------------------------------------------------------------

AGENTS: Mapping[str, Known] = {
    "claude": Known(
        "claude -p --output-format json --permission-mode acceptEdits --no-session-persistence {budget}",
        "npm install -g @anthropic-ai/claude-code, then claude once to log in, or set ANTHROPIC_API_KEY",
        ("~/.claude/", "~/.claude.json", "$CLAUDE_CONFIG_DIR"),
        _claude,
        ("usd", "tokens"),
        "--max-budget-usd",
    ),
    "codex": Known(
        "codex exec --json --ephemeral --sandbox workspace-write --skip-git-repo-check -",
        "npm install -g @openai/codex, then codex login, or set CODEX_API_KEY",
        ("~/.codex/", "$CODEX_HOME"),
        _codex,
        ("tokens",),
    ),
    "gemini": Known(
        "gemini --output-format json --approval-mode yolo --skip-trust",
        "npm install -g @google/gemini-cli, then gemini once to log in, or set GEMINI_API_KEY",
        ("~/.gemini/",),
        _gemini,
        ("tokens",),
    ),
    "opencode": Known(
        "opencode run --format json --auto",
        "npm install -g opencode-ai, then opencode auth login",
        (
            *("~/.config/opencode/", "~/.local/share/opencode/", "~/.local/state/opencode/"),
            *("~/.cache/opencode/", "$XDG_DATA_HOME/opencode", "$XDG_STATE_HOME/opencode"),
        ),
        _opencode,
        ("usd", "tokens"),
    ),
    "pi": Known(  # its other events repeat a message with each word of it
        'pi --mode json --no-session | grep \'^{"type":"message_end"\'',
        "npm install -g @mariozechner/pi-coding-agent, then pi once to log in, or set its provider's key",
        ("~/.pi/", "$PI_CODING_AGENT_DIR"),
        _pi,
        ("usd", "tokens"),
    ),
    "aider": Known(
        "aider --message-file {brief} --yes-always --no-git --no-pretty --no-stream --no-check-update "
        "--no-show-release-notes --no-show-model-warnings --no-suggest-shell-commands --map-tokens 0 "
        '--input-history-file "$TMPDIR/input" --chat-history-file "$TMPDIR/chat" {files}',
        "pip install aider-chat, and set the key of its model",
        ("~/.aider/",),
        _aider,
        ("tokens",),
    ),
}
