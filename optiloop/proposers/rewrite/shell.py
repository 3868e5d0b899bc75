"""Shell scripts as rules see them: lists of pipelines of simple commands, each at its place. Pure.

A careful reader of POSIX sh, not a whole one: what it is not sure of (the grammar of bash, backquotes within
backquotes, quotes within arithmetic) raises ValueError, and no rule touches the script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from optiloop.proposers.rewrite.rule import Edit, Language, Site

_OPERATOR = re.compile(r"&&|\|\||;;|<<-|<<|>>|<&|>&|<>|>\||[|&;<>()]")
_BLANKS = re.compile(r"(?:[ \t]|\\\n|#[^\n]*)*")
_PLAIN = re.compile(r"[\w./:=,+%@^-]+")
_REDIRECTIONS = frozenset({"<", ">", ">>", "<&", ">&", "<>", ">|", "<<", "<<-"})
_OPENING = frozenset({"if", "while", "until", "for", "case", "{", "(", "!"})
_NOT_POSIX = frozenset({"[[", "select", "function", "time", "coproc", "let", "declare"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
_NAME = re.compile(r"[A-Za-z_]\w*")
_SHEBANG = re.compile(r"#![ \t]*(/usr)?/bin/(env[ \t]+)?(ba|da|k)?sh\b")


@dataclass(frozen=True)
class Word:
    """One word as it stands in the script, quotes and all, with the substitutions within."""

    text: str
    start: int
    substitutions: tuple[Substitution, ...] = ()

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def literal(self) -> str | None:
        """What the word says where no expansion changes it; None where one may."""
        return literal(self.text)

    @property
    def variable(self) -> str | None:
        """The variable that the word is, in double quotes, so that it stays one word; else None."""
        found = re.fullmatch(r'"\$(?:(\w+)|\{(\w+)\})"', self.text)
        name = (found[1] or found[2]) if found else None
        return name if name and _NAME.fullmatch(name) else None

    @property
    def is_one(self) -> bool:
        """Whether it is surely one word: a literal or a quoted variable."""
        return bool(self.literal) or self.variable is not None


@dataclass(frozen=True)
class Substitution:
    """`$(...)` with what runs in it; `quoted` where it stands in double quotes."""

    start: int
    end: int
    body: Block
    quoted: bool


@dataclass(frozen=True)
class Simple:
    """A simple command: assignments in front, words, redirections (operator, word)."""

    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirections: tuple[tuple[str, Word], ...]
    start: int
    end: int

    @property
    def name(self) -> str:
        """The command's name where it is a literal; empty where it is not."""
        return (self.words[0].literal or "") if self.words else ""

    @property
    def is_plain(self) -> bool:
        return bool(self.words) and not self.assignments and not self.redirections


@dataclass(frozen=True)
class Compound:
    """`for`, `while`, `if`, `case`, a group: its kind, its blocks, and a `for` loop's variable and words.

    Of a loop the last block is its body; of a `while` the first is its condition.
    """

    kind: str
    blocks: tuple[Block, ...]
    start: int
    end: int
    variable: str = ""
    words: tuple[Word, ...] = ()
    redirections: tuple[tuple[str, Word], ...] = ()


Command = Simple | Compound


@dataclass(frozen=True)
class Pipeline:
    """Commands joined by pipes, and what stands behind them: a newline, `;`, `&&`, `||`, `&`, or nothing."""

    commands: tuple[Command, ...]
    start: int
    end: int
    then: str = ""
    negated: bool = False

    @property
    def only(self) -> Simple | None:
        """Its one simple command; None where it is more than that."""
        first = self.commands[0]
        return first if len(self.commands) == 1 and isinstance(first, Simple) and not self.negated else None


@dataclass(frozen=True)
class Block:
    """A list of pipelines."""

    pipelines: tuple[Pipeline, ...] = field(default=())


@dataclass(frozen=True)
class Place:
    """Where a block is: the compound commands around it, from the inside out."""

    block: Block
    around: tuple[Compound, ...]


class Script:
    """A parsed script. Raises ValueError where it is not surely understood."""

    def __init__(self, text: str) -> None:
        self.text = text
        reader = _Reader(text, 0, len(text))
        self.block = reader.block(())
        reader.expect_end()
        self.places = tuple(_places(self.block, ()))
        """Every block, those of substitutions too."""

    def line(self, offset: int) -> int:
        """The line of a character, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def site(self, start: int, what: str, edits: Sequence[Edit]) -> Site:
        """The site of a rule at a character of the script."""
        return Site("", self.line(start), what, self.text, tuple(edits))

    def pipelines(self) -> Iterator[tuple[Pipeline, tuple[Compound, ...]]]:
        """Every pipeline with the compound commands around it, from the inside out."""
        for place in self.places:
            for pipeline in place.block.pipelines:
                yield pipeline, place.around

    def simple(self) -> Iterator[tuple[Simple, tuple[Compound, ...]]]:
        """Every simple command with the compound commands around it."""
        for pipeline, around in self.pipelines():
            for command in pipeline.commands:
                if isinstance(command, Simple):
                    yield command, around

    def segment(self, start: int, end: int) -> str:
        return self.text[start:end]

    def indent(self, offset: int) -> str:
        """The white space that the line of a character starts with."""
        line = self.text[self.text.rfind("\n", 0, offset) + 1 : offset]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def starts_line(self, offset: int) -> bool:
        """Whether a line of its own could stand in front of a character."""
        line = self.text.rfind("\n", 0, offset) + 1
        return not self.text[line:offset].strip() and not self.text[:line].rstrip().endswith(
            ("|", "&&", "\\")
        )

    def assigned(self, name: str) -> list[Word]:
        """The values given to a variable anywhere in the script by `name=value`."""
        return [
            value for command, _ in self.simple() for known, value in command.assignments if known == name
        ]

    def reads(self, loop: Compound) -> list[str]:
        """The variables that the `read` of a while loop's condition sets; none where it is no such loop."""
        if loop.kind != "while" or len(loop.blocks[0].pipelines) != 1:
            return []
        command = loop.blocks[0].pipelines[0].only
        if command is None or command.name != "read" or command.redirections:
            return []
        return [word.literal for word in command.words[1:] if word.literal and _NAME.fullmatch(word.literal)]

    def is_safe(self) -> bool:
        """Whether a command that fails goes unnoticed, as it does without `set -e` and traps."""
        for command, _ in self.simple():
            if command.name == "trap":
                return False
            if command.name == "set" and any("e" in word.text for word in command.words[1:]):
                return False
        return "pipefail" not in self.text


def literal(text: str) -> str | None:
    """What a word says without its quotes; None where an expansion, a pattern or an escape may change it."""
    said: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "'":
            end = text.index("'", at + 1)
            said.append(text[at + 1 : end])
        elif text[at] == '"':
            end = text.index('"', at + 1)
            if any(char in text[at:end] for char in "$`\\"):
                return None
            said.append(text[at + 1 : end])
        elif text[at] in "$`\\*?[~{}":
            return None
        else:
            said.append(text[at])
            end = at
        at = end + 1
    return "".join(said)


def _places(block: Block, around: tuple[Compound, ...]) -> Iterator[Place]:
    yield Place(block, around)
    for pipeline in block.pipelines:
        for command in pipeline.commands:
            if isinstance(command, Compound):
                for inner in command.blocks:
                    yield from _places(inner, (command, *around))
                words = [*command.words, *(word for _, word in command.redirections)]
            else:
                values = [value for _, value in command.assignments]
                words = [*values, *command.words, *(word for _, word in command.redirections)]
            for word in words:
                for substitution in word.substitutions:
                    yield from _places(substitution.body, around)


class _Reader:
    """Reads commands from a part of a text by recursive descent."""

    def __init__(self, text: str, at: int, end: int) -> None:
        self._text, self._at, self._end = text, at, end
        self._documents: list[tuple[str, bool]] = []

    def fail(self, why: str) -> NoReturn:
        raise ValueError(f"line {self._text.count(chr(10), 0, self._at) + 1}: {why}")

    def expect_end(self) -> None:
        self._skip_lines()
        if self._at < self._end:
            self.fail(f"unexpected {self._text[self._at]!r}")
        if self._documents:
            self.fail("a here-document without its end")

    # --- white space, comments, here-documents ----------------------------------------------------

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : min(self._at + length, self._end)]

    def _skip_blanks(self) -> None:
        found = _BLANKS.match(self._text, self._at, self._end)
        self._at = found.end() if found else self._at

    def _skip_lines(self) -> None:
        """White space, comments and newlines, with the here-documents that begin at one."""
        while True:
            self._skip_blanks()
            if self._peek() != "\n":
                return
            self._at += 1
            self._skip_documents()

    def _skip_documents(self) -> None:
        for delimiter, tabs in self._documents:
            while True:
                if self._at >= self._end:
                    self.fail("a here-document without its end")
                newline = self._text.find("\n", self._at, self._end)
                stop = self._end if newline < 0 else newline
                line = self._text[self._at : stop]
                self._at = min(stop + 1, self._end)
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    break
        self._documents.clear()

    # --- words ------------------------------------------------------------------------------------

    def _operator(self) -> str:
        self._skip_blanks()
        found = _OPERATOR.match(self._text, self._at, self._end)
        return found[0] if found else ""

    def _word(self) -> Word | None:
        self._skip_blanks()
        start, substitutions = self._at, []
        while self._at < self._end and self._peek() not in " \t\n|&;<>()":
            substitutions += self._piece(quoted=False)
        if self._at == start:
            return None
        return Word(self._text[start : self._at], start, tuple(substitutions))

    def _piece(self, *, quoted: bool) -> list[Substitution]:
        """One character, quotation or expansion of a word."""
        char = self._peek()
        if char == "\\":
            self._at += 2
        elif char == "'" and not quoted:
            self._at = self._find("'", self._at + 1) + 1
        elif char == '"' and not quoted:
            return self._quotation()
        elif char == "`":
            self._at = self._find("`", self._at + 1) + 1
            if "\\" in self._text[self._at - 2 : self._at]:
                self.fail("backquotes within backquotes")
        elif self._peek(3) == "$((":
            self._arithmetic()
        elif self._peek(2) == "$(":
            return [self._substitution(quoted=quoted)]
        elif self._peek(2) == "${":
            return self._parameter()
        else:
            run = _PLAIN.match(self._text, self._at, self._end)
            self._at = run.end() if run else self._at + 1
        if self._at > self._end:
            self.fail("the text ends within a word")
        return []

    def _find(self, char: str, start: int) -> int:
        found = self._text.find(char, start, self._end)
        if found < 0:
            self.fail(f"no closing {char}")
        return found

    def _quotation(self) -> list[Substitution]:
        self._at += 1
        found: list[Substitution] = []
        while self._peek() != '"':
            if self._at >= self._end:
                self.fail('no closing "')
            found += self._piece(quoted=True)
        self._at += 1
        return found

    def _arithmetic(self) -> None:
        """`$((...))` with balanced parentheses; substitutions within are left alone."""
        depth = 0
        while self._at < self._end:
            char = self._peek()
            self._at += 1
            if char in "'\"`":
                self.fail("quotes within $((...))")
            depth += (char == "(") - (char == ")")
            if depth == 0 and char == ")":
                return
        self.fail("no closing ))")

    def _parameter(self) -> list[Substitution]:
        self._at += 2
        found: list[Substitution] = []
        while self._peek() != "}":
            if self._at >= self._end:
                self.fail("no closing }")
            found += self._piece(quoted=False)
        self._at += 1
        return found

    def _substitution(self, *, quoted: bool) -> Substitution:
        start = self._at
        inner = _Reader(self._text, start + 2, self._end)
        body = inner.block((")",))
        inner._skip_lines()
        if inner._documents:
            self.fail("a here-document within $(...)")
        if inner._peek() != ")":
            self.fail("no closing ) of $(...)")
        self._at = inner._at + 1
        return Substitution(start, self._at, body, quoted)

    # --- commands ---------------------------------------------------------------------------------

    def block(self, ends: tuple[str, ...]) -> Block:
        """Pipelines up to one of the words that end the block, which is left."""
        found: list[Pipeline] = []
        while True:
            self._skip_lines()
            if self._at >= self._end or self._at_end_of_block(ends):
                return Block(tuple(found))
            found.append(self._pipeline())

    def _at_end_of_block(self, ends: tuple[str, ...]) -> bool:
        return any(
            self._peek(len(end)) == end and ((not end.isalpha() and end != "}") or self._is_reserved(end))
            for end in ends
        )

    def _is_reserved(self, word: str) -> bool:
        following = self._text[self._at + len(word) : self._at + len(word) + 1]
        return self._peek(len(word)) == word and (following in " \t\n;|&<>()" or following == "")

    def _pipeline(self) -> Pipeline:
        self._skip_blanks()
        start, negated = self._at, False
        if self._is_reserved("!"):
            self._at, negated = self._at + 1, True
        commands = [self._command()]
        end = self._at_of(commands)
        while self._operator() == "|":
            self._at += 1
            self._skip_lines()
            commands.append(self._command())
            end = self._at_of(commands)
        operator = self._operator()
        if operator in ("&&", "||", ";", "&"):
            self._at += len(operator)
            return Pipeline(tuple(commands), start, end, operator, negated)
        if operator and operator not in (")", ";;"):
            self.fail(f"unexpected {operator}")
        return Pipeline(tuple(commands), start, end, "\n" if self._peek() == "\n" else "", negated)

    def _at_of(self, commands: list[Command]) -> int:
        return commands[-1].end

    def _command(self) -> Command:
        self._skip_blanks()
        for word in _OPENING - {"(", "!"}:
            if self._is_reserved(word):
                return self._compound(word)
        if self._peek() == "(":
            return self._group("(", ")")
        if any(self._is_reserved(word) for word in _NOT_POSIX):
            self.fail("not plain sh")
        return self._simple()

    def _simple(self) -> Command:
        start = end = self._at
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirections: list[tuple[str, Word]] = []
        while True:
            operator = self._operator()
            if operator in _REDIRECTIONS:
                redirections.append(self._redirection(operator))
            elif operator == "(" and len(words) == 1 and not assignments and not redirections:
                return self._function(start)
            elif operator or (word := self._word()) is None:
                break
            else:
                assignment = _ASSIGNMENT.match(word.text)
                if assignment and not words:
                    value = word.text[assignment.end() :]
                    at = word.start + assignment.end()
                    assignments.append((assignment[1], Word(value, at, word.substitutions)))
                elif word.text.isdigit() and self._operator() in _REDIRECTIONS and self._peek() in "<>":
                    if self._at != word.end:
                        words.append(word)
                else:
                    words.append(word)
            end = self._at
        if end == start:
            self.fail(f"no command at {self._peek()!r}")
        return Simple(tuple(assignments), tuple(words), tuple(redirections), start, end)

    def _redirection(self, operator: str) -> tuple[str, Word]:
        self._at += len(operator)
        word = self._word()
        if word is None:
            self.fail(f"nothing behind {operator}")
        if operator in ("<<", "<<-"):
            delimiter = re.sub(r"[\"'\\]", "", word.text)
            self._documents.append((delimiter, operator == "<<-"))
        return operator, word

    def _function(self, start: int) -> Compound:
        """`name() { ...; }`: the body as one block."""
        self._at += 1
        if self._operator() != ")":
            self.fail("a function's name must be followed by ()")
        self._at += 1
        self._skip_lines()
        body = self._command()
        if not isinstance(body, Compound):
            self.fail("a function's body must be a group")
        return Compound("function", body.blocks, start, self._at)

    def _compound(self, word: str) -> Compound:
        start = self._at
        if word == "{":
            return self._group("{", "}")
        self._at += len(word)
        if word == "for":
            return self._for(start)
        if word == "case":
            return self._case(start)
        if word == "if":
            return self._if(start)
        condition = self.block(("do",))
        body = self._do()
        return self._ended(Compound(word, (condition, body), start, self._at))

    def _group(self, opening: str, closing: str) -> Compound:
        start = self._at
        self._at += len(opening)
        body = self.block((closing,))
        self._take(closing)
        return self._ended(Compound(opening, (body,), start, self._at))

    def _for(self, start: int) -> Compound:
        name = self._word()
        if name is None or not _NAME.fullmatch(name.text):
            self.fail("for without a variable")
        words: list[Word] = []
        self._skip_lines()
        if self._is_reserved("in"):
            self._at += 2
            while self._operator() == "" and (word := self._word()) is not None:
                words.append(word)
        else:
            words.append(Word('"$@"', self._at))
        if self._operator() == ";":
            self._at += 1
        body = self._do()
        return self._ended(Compound("for", (body,), start, self._at, name.text, tuple(words)))

    def _do(self) -> Block:
        self._skip_lines()
        self._take("do")
        body = self.block(("done",))
        self._take("done")
        return body

    def _if(self, start: int) -> Compound:
        blocks: list[Block] = []
        while True:
            blocks.append(self.block(("then",)))
            self._take("then")
            blocks.append(self.block(("elif", "else", "fi")))
            if self._is_reserved("elif"):
                self._take("elif")
                continue
            if self._is_reserved("else"):
                self._take("else")
                blocks.append(self.block(("fi",)))
            self._take("fi")
            return self._ended(Compound("if", tuple(blocks), start, self._at))

    def _case(self, start: int) -> Compound:
        blocks: list[Block] = []
        if self._word() is None:
            self.fail("case without a word")
        self._skip_lines()
        self._take("in")
        while True:
            self._skip_lines()
            if self._is_reserved("esac"):
                self._take("esac")
                return self._ended(Compound("case", tuple(blocks), start, self._at))
            self._patterns()
            blocks.append(self.block((";;", "esac")))
            if self._peek(2) == ";;":
                self._at += 2

    def _patterns(self) -> None:
        if self._peek() == "(":
            self._at += 1
        while True:
            if self._word() is None:
                self.fail("case without a pattern")
            operator = self._operator()
            if operator not in ("|", ")"):
                self.fail("a pattern of case must end with )")
            self._at += 1
            if operator == ")":
                return

    def _take(self, word: str) -> None:
        self._skip_lines()
        if self._peek(len(word)) != word:
            self.fail(f"{word} expected")
        self._at += len(word)

    def _ended(self, compound: Compound) -> Compound:
        """The compound command with the redirections behind it."""
        redirections: list[tuple[str, Word]] = []
        end = self._at
        while (operator := self._operator()) in _REDIRECTIONS:
            redirections.append(self._redirection(operator))
            end = self._at
        return Compound(
            compound.kind,
            compound.blocks,
            compound.start,
            end,
            compound.variable,
            compound.words,
            tuple(redirections),
        )


def _is_script(path: str, text: str) -> bool:
    return path.endswith((".sh", ".bash")) or (
        "." not in path.rpartition("/")[2] and bool(_SHEBANG.match(text))
    )


SHELL = Language("shell", _is_script, Script)
