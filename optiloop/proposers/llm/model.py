"""`ollama:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:MODEL`: a language model proposes. Effect.

The engine chooses where to look, the model words the change, and what it answers is applied strictly. Small
models are asked for one function, whole: that is what they get right (docs/models.md).
"""

from __future__ import annotations

import math
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optiloop.definitions import definitions
from optiloop.errors import AllowanceError, ProposerError, ProposerGoneError
from optiloop.memory.findings import SHOWN
from optiloop.model import REPEATS, TRIED_AT, Brief, Cost, Lessons, Novelty, Proposal
from optiloop.proposers.llm.answers import AnswerError, edits_of
from optiloop.proposers.llm.chat import Chat, Message, Reply, Request
from optiloop.proposers.llm.clients import find_chat
from optiloop.proposers.llm.focus import Ask, Kind, asked
from optiloop.proposers.llm.paid import paid
from optiloop.proposers.llm.prices import VARIABLE, load_prices, price_of
from optiloop.proposers.llm.prompt import Prompt, rendered
from optiloop.proposers.llm.tokens import count_tokens
from optiloop.untrusted import plain_line

TRIES = 4
"""Questions of one proposal at most: a draw, its repair, and two more draws."""
SMALL_BILLIONS = 15.0
"""Parameters up to which a model is asked for one function."""
LEAST_ANSWER = 128
"""Tokens without which no answer is worth a question."""
THOUGHTS = 4000
"""Tokens that a large model may think before it answers, where its thoughts count as answer."""
COOLEST, WARMEST = 0.5, 1.0
"""Temperatures: of the first try at a place, and after many without a gain."""

_FREE = ("ollama", "local")
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)\s*(b|m)(?![a-z])", re.IGNORECASE)


class Model:
    """Asks a model for one change, a few times where an answer cannot be used; `name` is KIND:MODEL."""

    def __init__(self, chat: Chat, *, kind: Kind | None = None) -> None:
        self.name = chat.name
        self._chat = chat
        self._kind = kind or kind_for(chat.name)
        self.refused: list[str] = []
        """Why answers could not be used, the latest last."""
        self._said: set[str] = set()

    def propose(self, brief: Brief) -> Proposal | None:
        """The first answer that is a new change. Never None: a model always has something to say.

        Raises ProposerError, with what it has cost, where no answer was one; AllowanceError where the next
        question may cost more than is left; ProposerGoneError where nobody answers.
        """
        prompt = rendered(brief, asked(brief, self._kind))
        start = [Message("system", prompt.system), Message("user", prompt.user)]
        draw, talk, cost, why = random.Random(brief.seed), start, Cost(), ""
        repeats, warned = tuple[str, ...](), list[Mapping[str, str]]()
        for _ in range(TRIES):
            try:
                reply = self._reply(brief, prompt, talk, draw.randrange(2**48), cost)
            except (AllowanceError, ProposerGoneError) as error:
                if cost == Cost():
                    raise
                raise ProposerError(f"{why}; then: {error}", cost) from None
            cost += Cost(reply.usd, reply.tokens_in + reply.tokens_out, reply.tokens_out, reply.seconds)
            try:
                proposal = self._proposal(brief, prompt.ask, reply, cost, warned)
                return replace(proposal, tags=(*proposal.tags, *repeats, *_shown(brief, prompt)))
            except AnswerError as error:
                why = str(error)
                repeats += (f"{REPEATS}{error.twin}",) if error.twin else ()
            self.refused = [*self.refused[-99:], why]
            can_mend = talk is start and reply.finish == "stop"
            talk = [*start, Message("assistant", reply.text), _repair(why)] if can_mend else start
        tags = (f"{TRIED_AT}{prompt.ask.place}", *prompt.ask.tags, *repeats)
        raise ProposerError(f"no answer of {self.name} could be used; the last: {why}", cost, tags)

    def _proposal(
        self, brief: Brief, ask: Ask, reply: Reply, cost: Cost, warned: list[Mapping[str, str]]
    ) -> Proposal:
        """The proposal that an answer is. What is much like a failure is handed back once, then believed."""
        edited = edits_of(reply.text, brief.source, ask, files_per_change=brief.files_per_change)
        kin = brief.recall.kin(brief.source, {**brief.source, **edited.edits})
        if kin.refused:
            raise AnswerError(f"that was tried before: {kin.why}; make another change", twin=kin.of)
        if kin.novelty is Novelty.REPEAT_FAILURE and edited.edits not in warned:
            warned.append(edited.edits)
            raise AnswerError(f"that is {kin.why}; where yours is another idea, answer the same again")
        return Proposal(edited.edits, edited.hypothesis, self.name, edited.family, ask.tags, cost)

    def _reply(self, brief: Brief, prompt: Prompt, talk: Sequence[Message], seed: int, cost: Cost) -> Reply:
        tokens_in = prompt.tokens + sum(count_tokens(message.content) for message in talk[2:])
        left = brief.allowance
        longest = min(
            _answer_tokens(brief, prompt.ask) + (0 if self._kind == "function" else THOUGHTS),
            left.tokens - cost.tokens - tokens_in,
            self._affordable(left.usd - cost.usd, tokens_in),
        )
        seconds = left.seconds - cost.seconds
        if longest < LEAST_ANSWER or seconds <= 0:
            raise AllowanceError(
                f"what is left of the run's dollars, tokens or time pays for no more questions to {self.name}"
            )
        request = Request(
            tuple(talk), int(longest), seed=seed, temperature=_temperature(brief, prompt.ask), seconds=seconds
        )
        started = time.monotonic()
        try:
            reply = paid(brief.answers, self.name, request, self._chat.complete)
        except ProposerGoneError:
            if time.monotonic() - started < seconds:
                raise
            raise AllowanceError(f"the run's time ended before {self.name} answered") from None
        for note in reply.notes:
            if note not in self._said:
                self._said.add(note)
                print(f"note: {note}", file=sys.stderr)
        return reply

    def _affordable(self, usd: float, tokens_in: int) -> float:
        """How many tokens of answer the dollars pay for. Raises where nobody knows the price."""
        kind, _, model = self.name.partition(":")
        if math.isinf(usd) or kind in _FREE:
            return math.inf
        price = price_of(model, load_prices())
        if price is None:
            raise ProposerGoneError(
                f"{self.name}: its price is unknown, so --usd cannot be kept; "
                f"add it to the file that {VARIABLE} names"
            )
        rest = usd - price.usd(tokens_in, 0)
        return rest / price.usd(0, 1) if price.usd_out else math.inf if rest >= 0 else 0.0


def kind_for(name: str) -> Kind:
    """What to ask a model of this name for: one function of small ones, and of local ones of unknown size."""
    kind, _, model = name.partition(":")
    sizes = [float(size) / (1000 if unit in "mM" else 1) for size, unit in _BILLIONS.findall(model)]
    small = max(sizes) <= SMALL_BILLIONS if sizes else kind in _FREE
    return "function" if small else "edits"


def _answer_tokens(brief: Brief, ask: Ask) -> int:
    """The longest answer worth waiting for: what was asked for, anew, with helpers and words."""
    text = brief.source[ask.path]
    if ask.kind == "function":
        lines = text.splitlines()
        found = [lines[one.first - 1 : one.last] for one in definitions(text) if one.name == ask.function]
        return 3 * count_tokens("\n".join(found[0] if found else lines)) + 400
    return min(2 * count_tokens(text) + 400, 16_000) if ask.kind == "file" else 4000


def _temperature(brief: Brief, ask: Ask) -> float:
    """Warmer with each try at a place that gained nothing."""
    spent = brief.recall.spent_at(ask.place)
    return min(WARMEST, COOLEST + 0.1 * (spent.experiments - spent.kept))


def _shown(brief: Brief, prompt: Prompt) -> tuple[str, ...]:
    """A tag for each finding that the prompt tells: what becomes of the proposal is its credit or blame."""
    if brief.lessons is not Lessons.DIGEST:
        return ()
    ids = (note.partition(" ")[0] for note in brief.recall.notes(prompt.ask.place))
    return tuple(f"{SHOWN}{name}" for name in ids if name in prompt.user)


def _repair(why: str) -> Message:
    return Message(
        "user",
        f"That cannot be used: {plain_line(why)}. Answer again, whole, in the form that was asked for.",
    )


def ollama(model: str) -> Model:
    """`ollama:MODEL`."""
    return Model(find_chat(f"ollama:{model}"))


def openai(model: str) -> Model:
    """`openai:MODEL`."""
    return Model(find_chat(f"openai:{model}"))


def anthropic(model: str) -> Model:
    """`anthropic:MODEL`."""
    return Model(find_chat(f"anthropic:{model}"))


def local(model: str) -> Model:
    """`local:MODEL`."""
    return Model(find_chat(f"local:{model}"))
