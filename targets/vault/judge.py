"""The metric, the diagnosis and the trace of the vault in this folder. Protected; `--help` says how."""

from pathlib import Path

from optiloop.vault import judge

if __name__ == "__main__":
    judge.main(Path(__file__).resolve().parent)
