"""One task from what it reads to who reads it, as values and as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optiloop.vault.heartbeat import Output, Reply, readers
from optiloop.vault.task import Task


def traced(tasks: Mapping[str, Task], outputs: Mapping[str, Output], name: str) -> dict[str, Any]:
    """What one task read, asked, got, scored and handed on, ready for JSON."""
    output = outputs[name]
    settings = output.task.settings
    return {
        "task": name,
        "score": output.score.value,
        "settings": {
            key: getattr(settings, key)
            for key in ("pool", "num_predict", "num_ctx", "temperature", "think", "collect", "post")
        },
        "inputs": list(output.inputs),
        "reads": [
            {"task": other, "score": outputs[other].score.value, "text": outputs[other].text}
            for other in output.task.rubric.after
        ],
        "facts": output.facts,
        "processes": output.started,
        "prompt": output.prompt,
        "replies": [_reply(reply) for reply in output.replies],
        "questions": list(output.task.rubric.questions),
        "read_by": readers(tasks, name),
    }


def _reply(reply: Reply) -> dict[str, Any]:
    answer, found = reply.answer, reply.score
    return {
        "pool": reply.model,
        "model": answer.model,
        "answer": answer.text,
        "finish": answer.finish,
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "seconds": round(answer.seconds, 3),
        "remembered": answer.remembered,
        "output": reply.text,
        "score": found.value,
        "failure": found.failure,
        "opinion": found.opinion,
        "checks": [
            {
                "kind": it.check.kind,
                "met": round(it.finding.met, 4),
                "cap": it.check.cap,
                "failures": list(it.finding.failures),
            }
            for it in found.judged
        ],
    }


def shown(found: Mapping[str, Any]) -> str:
    """The same for a terminal."""
    said = [f"{found['task']}: {found['score']:.2f} of 5"]
    said += _block(
        "settings", "\n".join(f"{key} = {json.dumps(value)}" for key, value in found["settings"].items())
    )
    said += _block("inputs", "\n".join(found["inputs"]))
    for read in found["reads"]:
        said += _block(f"reads {read['task']} ({read['score']:.2f})", read["text"])
    said += _block(f"facts ({found['processes']} processes started)", found["facts"])
    said += _block("prompt", found["prompt"])
    for reply in found["replies"]:
        said += _shown_reply(reply)
    said += _block("questions for a judge", "\n".join(found["questions"]))
    said += _block("read by", ", ".join(found["read_by"]) or "nobody")
    return "\n".join(said)


def _shown_reply(reply: Mapping[str, Any]) -> list[str]:
    how = "remembered" if reply["remembered"] else f"{reply['seconds']:.1f} s"
    who = f"{reply['model'] or reply['pool'] or 'script'}, {reply['finish']}"
    tokens = f", {reply['tokens_in']} + {reply['tokens_out']} tokens, {how}" if reply["model"] else ""
    said = _block(f"answer ({who}{tokens})", reply["answer"]) if reply["answer"] != reply["output"] else []
    said += _block(f"output ({who}{tokens})", reply["output"])
    if reply["failure"]:
        return [*said, *_block("failure", reply["failure"])]
    marks = [
        f"{'ok  ' if it['met'] == 1 else 'FAIL'} {it['kind']}"
        + "".join(f": {words} (caps the score at {it['cap']:g})" for words in it["failures"])
        for it in reply["checks"]
    ]
    if reply["opinion"] is not None:
        marks.append(f"opinion {reply['opinion']:.2f}")
    return [*said, *_block("checks", "\n".join(marks))]


def _block(title: str, text: str) -> list[str]:
    return [f"\n{title}:", *(f"  {line}" for line in text.rstrip("\n").split("\n"))] if text.strip() else []
