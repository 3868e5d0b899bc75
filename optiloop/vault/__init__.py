"""Judge the tasks of an agent system: run them as a graph against real models, check what they say, score it.

A target's protected `judge.py` is ten lines on top of this room; docs/vault.md says how.
"""
