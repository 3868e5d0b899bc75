"""Each fault of targets/vault, mended by hand: what its task's score is before and after, with a real model.

    python benchmarks/vault_mends.py [--only TASK]

Every mend is one change of one file, tried alone; then all of them together. Nothing is remembered from one
run to the next; `--only` tries one fault.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from optiloop.vault.door import Door
from optiloop.vault.heartbeat import Output
from optiloop.vault.judge import heart, open_door
from optiloop.vault.memory import Memory
from optiloop.vault.score import vault_score

TARGET = Path(__file__).parents[1] / "targets" / "vault"


class Mend(NamedTuple):
    """One change: in a task's file this text becomes that one."""

    task: str
    file: str
    old: str
    new: str


_SPACER = """for note in notes/*.md; do
  due=$(sed -n 's/^due: //p' "$note")
  title=$(sed -n 's/^title: //p' "$note")
  interval=$(sed -n 's/^interval: //p' "$note")
  ease=$(sed -n 's/^ease: //p' "$note")
  name=${note##*/}
  if [ "$due" \\> "$TODAY" ]; then continue; fi
  echo "$due ${name%.md} $title"
done | sort
"""
_SPACED = """awk -v today="$TODAY" '
  FNR == 1 { name = FILENAME; sub(/.*\\//, "", name); sub(/\\.md$/, "", name) }
  /^title: / { title = substr($0, 8) }
  /^due: / && $2 <= today { due[name] = $2 }
  FNR > 1 && /^---$/ && name in due { print due[name], name, title; nextfile }
' notes/*.md | sort
"""
_EXAMPLE = """
Example:
Good morning. At 08:00 you meet the plumber at the back door, at 13:00 you bring the red bowls to the post \
office, and at 17:00 you write the invoice for the school.
"""
_FORM = """
Write it in a code block like this example:
```
Went well: [what went well]. Cost time: [what cost time]. Next step: [the next step].
```
"""
MENDS = (
    Mend("blog-drafter", "prompt.md", "{{facts}}\n", "{{facts}}\n\nWrite at least 3 list items.\n"),
    Mend("blog-writer", "task.toml", "num_predict = 32", "num_predict = 256"),
    Mend("fashion-signals", "collect.sh", "head -10", "head -50"),
    Mend("knowledge-quiz", "collect.sh", "'/^## Question/,$p'", "'/^## Question/,/^## /p'"),
    Mend("knowledge-seeder", "task.toml", 'post = ""', 'post = "post.sh"'),
    Mend("knowledge-spacer", "collect.sh", _SPACER, _SPACED),
    Mend("lesson-distiller", "collect.sh", "tail -n 300", "tail -n 75"),
    Mend("morning-briefing", "prompt.md", _EXAMPLE, ""),
    Mend(
        "output-judge",
        "prompt.md",
        "it is not.\n",
        "it is not.\n\nAnswer with exactly one word: KEEP, REDO.\n",
    ),
    Mend("research-radar", "task.toml", '["worker", "local:gemma-3-270m"]', '["worker"]'),
    Mend("session-reflection", "prompt.md", _FORM, ""),
)


def mended(root: Path, mends: tuple[Mend, ...]) -> None:
    """Apply changes to a copy of the target."""
    for mend in mends:
        file = root / "tasks" / mend.task / mend.file
        text = file.read_text(encoding="utf-8")
        if mend.old not in text:
            raise SystemExit(f"{file}: does not hold what is to be mended")
        file.write_text(text.replace(mend.old, mend.new), encoding="utf-8")


def beaten(door: Door, folder: Path, mends: tuple[Mend, ...]) -> dict[str, Output]:
    """One heartbeat of a fresh copy of the target with these mends."""
    root = folder / "vault"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(TARGET, root)
    mended(root, mends)
    with heart(root, root / "vault", door=door) as beating:
        return beating.beat()


def report(door: Door, folder: Path, chosen: tuple[Mend, ...]) -> None:
    """Print a table, and what all mends together make of the vault."""
    before = beaten(door, folder, ())
    print(f"worker: {door.identity('worker')}\n")
    print("| task | file | before | after | others that change | what failed before |")
    print("|---|---|---|---|---|---|")
    for mend in chosen:
        after = beaten(door, folder, (mend,))
        others = ", ".join(
            f"{name} {before[name].score.value:.2f} -> {after[name].score.value:.2f}"
            for name in before
            if name != mend.task and before[name].score.value != after[name].score.value
        )
        failed = "; ".join(dict.fromkeys(kind for kind, _ in before[mend.task].score.failures))
        values = before[mend.task].score.value, after[mend.task].score.value
        print(
            f"| {mend.task} | {mend.file} | {values[0]:.2f} | {values[1]:.2f} | {others or '-'} | {failed} |"
        )
    started, calls = time.monotonic(), door.calls
    all_mended = beaten(door, folder, chosen)
    scores = [vault_score({name: it.score for name, it in side.items()}) for side in (before, all_mended)]
    print(f"\nvault score: {scores[0]:.3f} -> {scores[1]:.3f} with all mends")
    print(f"the last heartbeat: {time.monotonic() - started:.1f} s, {door.calls - calls} calls of a model")
    print(f"all: {door.calls} calls, {door.seconds:.0f} s of a model, {door.remembered} remembered")


def main() -> None:
    """Print a table of scores before and after each mend."""
    parser = argparse.ArgumentParser(
        description="mend each fault of targets/vault by hand, with a real model"
    )
    parser.add_argument("--only", choices=[mend.task for mend in MENDS])
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        door = open_door(TARGET, Memory(folder / "cache"))
        try:
            report(door, folder, tuple(mend for mend in MENDS if only in (None, mend.task)))
        finally:
            door.close()


if __name__ == "__main__":
    main()
