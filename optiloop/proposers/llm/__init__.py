"""Proposers that ask a language model: what it is told, what it is asked, what its answer is taken for."""
