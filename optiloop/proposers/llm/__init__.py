"""Proposers that ask a language model: what is asked, who is asked, and what is made of the answer."""
