"""The hold-out: the tasks must do as well on notes, logs and signals that no trial has seen."""

from pathlib import Path

from optiloop.vault import judge

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    judge.hold_out(here, here / "holdout" / "vault", slack=2.0)
