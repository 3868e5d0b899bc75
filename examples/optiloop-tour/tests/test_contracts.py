"""What optiloop asks of every target, proposer and parser."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import optiloop_tour
from optiloop_tour.labelled import labelled
from optiloop_tour.reverse import Reverse

from optiloop.testing import ParserContract, ProposerContract, TargetContract


class TestTour(TargetContract):
    def folder(self) -> Path:
        return Path(optiloop_tour.__file__).parent / "tour"


class TestReverse(ProposerContract):
    def proposer(self) -> Reverse:
        return Reverse()

    def sources(self) -> Sequence[Mapping[str, str]]:
        return ({"order.txt": "a\nb\nc\nd\n"}, {"short.txt": "a\n"})

    def test_turns_a_stretch_around(self) -> None:
        brief, proposal = next(self._campaigns())
        text = proposal.edits["order.txt"]
        assert text != brief.source["order.txt"]
        assert sorted(text) == sorted(brief.source["order.txt"])


class TestLabelled(ParserContract):
    output = "places: 12\nround trip: 612.5 km\n"
    options: Mapping[str, str] = {"label": "round trip"}

    def parser(self):
        return labelled
