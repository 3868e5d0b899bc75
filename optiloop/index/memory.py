"""The questions that a log answers, each in a few milliseconds. Reads the log and its index, takes no lock.

memory = Memory.of("my_target")
memory.helped("depth up", "OPTIMIZER=muon").rows
memory.as_of("2026-11-01").state().said
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optiloop.definitions import definitions
from optiloop.errors import UsageError
from optiloop.index.learning import insights_of
from optiloop.index.lookup import Wanted, fitting, in_force, knobs_of, named, seqs, wanted, within
from optiloop.index.store import Index, opened
from optiloop.memory.facts import OPPOSITE, Facts, Way, fits, of_diff, of_text, outline_of
from optiloop.memory.insights import Focus
from optiloop.memory.words import terms_of
from optiloop.model import Target
from optiloop.report.words import count
from optiloop.report.words import number as _number

Row = Mapping[str, Any]

SHOWN = 12
"""Rows of one answer: with its sentence they fit a screen."""

LOOKED_AT = 60
"""Attempts, the newest, that an answer is reasoned from."""

HALF_LIFE = 400
"""Experiments after which what was tried is half as telling; measured distance, not days."""

FADED, GONE, OPPOSED = 0.3, 0.1, 0.3
"""What remains of a score of old, of code that is gone, of what goes another way than the question."""

UNTRIED = 0.1
"""The promise of a place where nothing was tried yet."""

CANDIDATES, RARE_TERMS, MOST_HITS = 200, 4, 10_000
"""Texts that are ranked, and by how many of a question's rarest words; hits of all of them together."""


FUSION, WORDS = 5, 1.25
"""Of reciprocal rank fusion: its constant, and what a rank by words counts where one by meaning counts 1.

With the usual 60 ranks count nearly the same: what is old and first would stand behind what is new and 143rd
(docs/memory.md has what that costs).
"""


@dataclass(frozen=True)
class Answer:
    """One sentence, the rows it rests on, how many more there are, and what programs ask for by name."""

    said: str
    rows: tuple[Row, ...] = ()
    more: int = 0
    found: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"said": self.said, **self.found, "rows": [dict(row) for row in self.rows], "more": self.more}


@dataclass(frozen=True)
class Memory:
    """What one log remembers, up to its `now`-th experiment. `source` gives the champion's texts if known."""

    index: Index
    now: int
    source: Callable[[], Mapping[str, str]] | None = None

    @classmethod
    def of(cls, target: Target | Path | str) -> Memory:
        """The memory of a target, of its folder or name, or of a log.

        Raises UsageError where there is no log, LedgerError where it is broken.
        """
        found = found_target(target)
        index = opened(log_of(found))
        return cls(index, index.rows("SELECT count(*) FROM run")[0][0], _source_of(found))

    def as_of(self, moment: int | str) -> Memory:
        """The memory as it was after so many experiments, or at a date or time (ISO 8601).

        A date means its end, a time without a zone is UTC. Raises UsageError where it is neither.
        """
        if isinstance(moment, int) or moment.lstrip("#").isdigit():
            return replace(self, now=min(self.now, int(str(moment).lstrip("#"))))
        (last,) = self.index.rows(
            "SELECT max(seq) FROM run WHERE time <= ? AND seq <= ?", _until(moment), self.now
        )
        return replace(self, now=last[0] or 0)

    # --- questions -------------------------------------------------------------------------------------

    def state(self) -> Answer:
        """The champion, the keeps that stand, the values in force, and what became of all experiments."""
        statuses = dict(
            self.index.rows("SELECT status, count(*) FROM run WHERE seq <= ? GROUP BY status", self.now)
        )
        knobs = self.settings(self.now + 1)
        standing = self.standing()
        value, keep = self.champion(self.now), standing[-1] if standing else None
        by = f", made by #{keep}" if keep else ", the baseline's code"
        said = (
            f"after {count(self.now, 'experiment')} the champion is at {_number(value)}{by};"
            f" {count(len(standing), 'keep')} in force"
        )
        found = {"experiments": self.now, "champion": value, "statuses": statuses, "knobs": knobs}
        rows = self.runs(standing[::-1][:SHOWN])
        return Answer(said, rows, len(standing) - len(rows), {**found, "keeps": standing})

    def best_before(self, change: str) -> Answer:
        """The best metric before an experiment (number or id), or before the first that a phrase fits."""
        seq = self.number(change)
        if seq is None:
            fitting = seqs(self.index, wanted(self.index, change), self.now)
            if not fitting:
                raise UsageError(f"nothing fits {change!r} up to #{self.now}")
            seq = min(fitting)
        value = self.champion(seq - 1)
        if value is None:  # nothing was measured yet: what it was measured against itself
            ((value,),) = self.index.rows("SELECT champion FROM run WHERE seq = ?", seq)
        before = self.as_of(seq - 1).standing()
        made = f", made by #{before[-1]}" if before else ", the baseline's code"
        said = f"before #{seq} the best was {_number(value)}{made}"
        rows = self.runs([*before[-1:], seq])
        return Answer(said, rows, 0, {"before": seq, "value": value, "keep": before[-1] if before else None})

    def helped(self, kind: str, *conditions: str) -> Answer:
        """Which changes of a kind helped while all conditions held: `DEPTH<8`, or a keep: `memoise`."""
        found = seqs(self.index, wanted(self.index, kind), self.now)
        for condition in conditions:
            spans = in_force(self.index, wanted(self.index, condition), self.now)
            found = {seq: found[seq] for seq in within(list(found), spans)}
        verdicts = self.verdicts(found)
        good = [seq for seq, verdict in verdicts.items() if verdict == 1]
        counts = _counts(verdicts.values())
        while_ = f" while {' and '.join(conditions)}" if conditions else ""
        said = f"{kind}{while_}: {_said_counts(counts)}"
        return self._answer(said, self._best(good), counts)

    def tried(self, what: str) -> Answer:
        """Was it tried, and is it worth trying again? Each attempt, and what differs from now."""
        want = wanted(self.index, what)
        verdicts = self.verdicts(seqs(self.index, want, self.now))
        latest = list(verdicts)[-LOOKED_AT:]
        attempts = [self._attempt(row, verdicts[row["run"]]) for row in self.runs(latest)]
        answer, reason = _again(want, attempts)
        counts = _counts(verdicts.values())
        said = f"{answer}: {reason} ({_said_counts(counts)})" if verdicts else f"{answer}: {reason}"
        rows = tuple(attempts[::-1][:SHOWN])
        return Answer(said, rows, len(verdicts) - len(rows), {"answer": answer, "reason": reason, **counts})

    def common(self, a: str, b: str) -> Answer:
        """What two experiments have in common: what they changed, where, and in which context."""
        first, second = self._numbered(a), self._numbered(b)
        one, two = self.facts(first), self.facts(second)
        contexts = self.settings(first), self.settings(second)
        shared = {
            "families": _both([row["family"] for row in self.runs([first])], self._families(second)),
            "entities": _both((f"{e} {w}" for e, w in one.entities), {f"{e} {w}" for e, w in two.entities}),
            "knobs": _both((k.name for k in one.knobs), {k.name for k in two.knobs}),
            "places": _both(one.places, set(two.places)),
            "files": _both(one.files, set(two.files)),
            "features": _both(sorted(one.features), two.features),
            "in force": _both(_pairs(contexts[0]), set(_pairs(contexts[1]))),
        }
        differs = {
            name: (contexts[0].get(name), contexts[1].get(name))
            for name in dict.fromkeys([*contexts[0], *contexts[1]])
            if contexts[0].get(name) != contexts[1].get(name)
        }
        told = [f"{name} {', '.join(items[:6])}" for name, items in shared.items() if items]
        apart = ", ".join(f"{name} {_arrow(*values)}" for name, values in list(differs.items())[:6])
        said = f"#{first} and #{second} share: {'; '.join(told) or 'nothing'}"
        said += f"; between them changed {apart}" if apart else ""
        return Answer(said, self.runs([first, second]), 0, {"shared": shared, "differs": differs})

    def best_for(self, component: str) -> Answer:
        """The best that is known for a place, a knob, an entity or a family, and what is in force of it."""
        want = wanted(self.index, component)
        verdicts = self.verdicts(seqs(self.index, want, self.now))
        good = self._best([seq for seq, verdict in verdicts.items() if verdict == 1])
        knobs = set(knobs_of(self.index, [nid for group in want.names for nid in group]))
        values = {name: value for nid, name, value in self._settings(self.now + 1) if nid in knobs}
        counts = _counts(verdicts.values())
        now = f"; in force: {', '.join(_pairs(values))}" if values else ""
        best = f"best is #{good[0]}" if good else "nothing has helped yet"
        return self._answer(
            f"{component}: {best}{now} ({_said_counts(counts)})", good, {**counts, "knobs": values}
        )

    def avoid(self, place: str) -> Answer:
        """What clearly failed at a place, or with a knob, since it last changed: not worth trying again."""
        want = wanted(self.index, place)
        chosen = json.dumps([nid for group in want.names for nid in group])
        ((last,),) = self.index.rows(
            "SELECT max(seq) FROM fact WHERE name IN (SELECT value FROM json_each(?)) AND kept AND seq <= ?",
            chosen,
            self.now,
        )
        failed = {seq for seq, verdict in fitting(self.index, want, self.now).items() if verdict == -1}
        since = {seq for seq in failed if seq > (last or 0)}
        current = {nid: value for nid, _, value in self._settings(self.now + 1)}
        for nid in set(knobs_of(self.index, json.loads(chosen))) & current.keys():  # back at that value
            rows = self.index.rows(
                "SELECT seq FROM fact WHERE name = ? AND verdict = -1 AND seq <= ? AND before = ?",
                nid, self.now, current[nid],
            )  # fmt: skip
            since |= failed & {seq for (seq,) in rows}
        groups = self.index.rows(
            "SELECT gist, count(*), max(seq), avg(gain) FROM run"
            " WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY gist"
            " ORDER BY count(*) DESC, max(seq) DESC",
            json.dumps(sorted(since)),
        )
        newest = {row["run"]: row for row in self.runs(seq for _, _, seq, _ in groups[:SHOWN])}
        shown = tuple(
            {**newest[seq], "what": gist, "failed": times, "mean_gain": gain}
            for gist, times, seq, gain in groups[:SHOWN]
        )
        stale = len(failed) - sum(times for _, times, _, _ in groups)
        said = f"{place}: {count(len(groups), 'idea')} not worth trying again as it stands"
        said += f"; {count(stale, 'failure')} from before it last changed may be tried again" if stale else ""
        return Answer(
            said, shown, len(groups) - len(shown), {"changed_by": last, "may_be_tried_again": stale}
        )

    def unexplored(self) -> Answer:
        """Families that were never tried at a place, those first that do well, at places that paid."""
        tried = self.index.rows(
            f"SELECT fact.name, family, count(*) {_AT_PLACES} AND verdict IS NOT NULL AND seq <= ?"
            " GROUP BY fact.name, family",
            self.now,
        )
        names = dict(self.index.rows("SELECT nid, name FROM name WHERE kind IN ('place', 'family')"))
        kept = self.index.rows(
            f"SELECT fact.name, family, count(*) {_AT_PLACES} AND kept"
            " AND seq IN (SELECT value FROM json_each(?)) GROUP BY fact.name, family",
            json.dumps(self.standing()),
        )
        places = self._places({names[place] for place, _, _ in tried})
        there = _rates(((names[p], n) for p, _, n in tried), ((names[p], n) for p, _, n in kept))
        ideas = _rates(((names[f], n) for _, f, n in tried), ((names[f], n) for _, f, n in kept))
        done = {(names[place], names[family]) for place, family, _ in tried}
        # What was tried in functions only may not be possible elsewhere, and the other way round.
        kinds = {("::" in place, family) for place, family in done}
        possible = [
            (place, family) for place in places for family in ideas if ("::" in place, family) in kinds
        ]
        cells = [
            (there.get(place, UNTRIED) * ideas[family], place, family)
            for place, family in possible
            if (place, family) not in done
        ]
        cells.sort(key=lambda cell: (-cell[0], cell[1:]))
        said = f"{len(cells):,} of {len(possible):,} combinations of place and family were never tried"
        rows = tuple(
            {"place": place, "family": family, "promise": float(f"{promise:.2g}")}
            for promise, place, family in cells[:SHOWN]
        )
        return Answer(said, rows, len(cells) - len(rows))

    def ancestry(self) -> Answer:
        """The keeps that the champion is made of, newest first, and those that were taken back."""
        standing = self.standing()
        taken = self.index.rows("SELECT count(*) FROM run WHERE until <= ?", self.now)[0][0]
        said = f"the champion of #{self.now} stands on {count(len(standing), 'keep')}; {taken} taken back"
        rows = self.runs(standing[::-1][:SHOWN])
        return Answer(
            said, rows, len(standing) - len(rows), {"keeps": standing, "champion": self.champion(self.now)}
        )

    def recall(self, text: str) -> Answer:
        """Experiments about a text, most telling first; what goes the other way than it says is labelled."""
        terms = self._rarest(terms_of(text))
        hits = self._spoken(terms) if terms else []
        near, fault = self._near(text)
        if not hits and not near:
            raise UsageError(f"no experiment speaks of {text!r}{f' ({fault})' if fault else ''}")
        found = fused([seq for seq, _ in hits], near) if near else dict(hits)
        labels = self._labels(text, list(found))
        gone = self._gone(list(found))
        standing = set(self.standing())
        scores = {
            seq: score
            * (1.0 if seq in standing else _decay(self.now - seq))
            * (GONE if seq in gone else 1.0)
            * (OPPOSED if seq in labels else 1.0)
            for seq, score in found.items()
        }
        best = sorted(scores, key=lambda seq: (-scores[seq], -seq))
        rows = tuple({**row, "label": labels.get(row["run"], "")} for row in self.runs(best[:SHOWN]))
        said = f"{count(len(best), 'experiment')} about {', '.join(terms)}{' or the like' if near else ''}"
        if not terms:
            said = f"no experiment has a word of {text!r}; {count(len(best), 'experiment')} come near"
        return Answer(said, rows, len(best) - len(rows), {"fault": fault} if fault else {})

    def contradictions(self) -> Answer:
        """What helped here and hurt there, with what differs (docs/findings.md)."""
        return self.insights(Focus.CONTRADICTIONS)

    def stale(self) -> Answer:
        """What was learned of code that is gone, or was rewritten since."""
        return self.insights(Focus.STALE)

    def insights(self, focus: str) -> Answer:
        """What to look at, by one focus; held by the index until the log goes on (`learning`)."""
        if focus not in tuple(Focus):
            raise UsageError(f"no focus is called {focus!r}; there are {', '.join(Focus)}")
        source = self.source() if self.source is not None else None
        found = insights_of(self.index, self.now, source, Focus(focus))
        rows = tuple({"finding": it.finding, "insight": it.says, "runs": list(it.runs)} for it in found)
        return Answer(f"{focus}: {count(len(rows), 'insight')}", rows)

    # --- what questions are made of --------------------------------------------------------------------

    def number(self, experiment: str) -> int | None:
        """An experiment's number, from that or from a part of its id that no other has; None of other words.

        Raises UsageError where the log has no such number, or several such ids.
        """
        bare = experiment.lstrip("#")
        if bare.isdigit() and len(bare) < 12:
            if not 0 < int(bare) <= self.now:
                raise UsageError(f"there is no experiment #{bare}: the log has {self.now}")
            return int(bare)
        if not bare.isalnum() or len(bare) < 6:
            return None
        found = self.index.rows("SELECT seq FROM run WHERE id LIKE ? AND seq <= ?", f"%{bare}%", self.now)
        if len(found) > 1:
            raise UsageError(f"{len(found)} ids hold {experiment!r}: give more of it, or its number")
        return found[0][0] if found else None

    def runs(self, numbers: Iterable[int]) -> tuple[Row, ...]:
        """Experiments as rows, in the order asked for. `verdict` is that of now: +1 of a keep that stands."""
        order = list(numbers)
        found = self.index.rows(
            "SELECT seq, id, time, status, CASE WHEN until <= ? THEN 0 ELSE verdict END, effect, gain, error,"
            " by_ratio, family, origin, hypothesis, reason, gist, isolated"
            " FROM run WHERE seq IN (SELECT value FROM json_each(?))",
            self.now, json.dumps(order),
        )  # fmt: skip
        rows = {values[0]: dict(zip(_COLUMNS, values, strict=True)) for values in found}
        return tuple(rows[seq] for seq in order if seq in rows)

    def facts(self, seq: int) -> Facts:
        """All that an experiment changed, features included, read again from the log."""
        line = self.index.line(seq)
        return of_diff(line["diff"]) if line["diff"] else of_text(line["hypothesis"])

    def standing(self) -> list[int]:
        """The keeps in force, oldest first."""
        rows = self.index.rows(
            "SELECT seq FROM run WHERE status = 'keep' AND verdict = 1 AND seq <= ?1"
            " AND (until IS NULL OR until > ?1) ORDER BY seq",
            self.now,
        )
        return [seq for (seq,) in rows]

    def champion(self, seq: int) -> float | None:
        """The champion's metric after an experiment, as it was last measured; None before anything was."""
        rows = self.index.rows(
            "SELECT CASE status WHEN 'keep' THEN value ELSE champion END FROM run"
            " WHERE seq <= ? AND champion IS NOT NULL AND status != 'violation' ORDER BY seq DESC LIMIT 1",
            seq,
        )
        return rows[0][0] if rows else None

    def settings(self, seq: int) -> dict[str, str]:
        """The values in force while an experiment was tried, by knob."""
        return {name: value for _, name, value in self._settings(seq)}

    def verdicts(self, found: Mapping[int, int | None]) -> dict[int, int]:
        """Those that are evidence, with the verdict of now: a keep that was taken back is undecided."""
        taken = {seq for (seq,) in self.index.rows("SELECT seq FROM run WHERE until <= ?", self.now)}
        return {seq: 0 if seq in taken else verdict for seq, verdict in found.items() if verdict is not None}

    def _settings(self, seq: int) -> list[tuple[Any, ...]]:
        return self.index.rows(
            "SELECT nid, name.name, value FROM setting JOIN name ON nid = setting.name"
            " WHERE first <= ?1 AND (setting.last IS NULL OR setting.last >= ?1) AND known <= ?2"
            " ORDER BY nid",
            seq, self.now,
        )  # fmt: skip

    def _numbered(self, experiment: str) -> int:
        seq = self.number(experiment)
        if seq is None:
            raise UsageError(
                f"{experiment!r} is no experiment: give its number or its id; `optiloop log` lists them"
            )
        return seq

    def _families(self, seq: int) -> set[str]:
        return {row["family"] for row in self.runs([seq])}

    def _best(self, numbers: Iterable[int]) -> list[int]:
        """By gain, the largest first."""
        rows = self.index.rows(
            "SELECT seq FROM run WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY gain DESC, seq",
            json.dumps(list(numbers)),
        )
        return [seq for (seq,) in rows]

    def _answer(self, said: str, numbers: list[int], found: Mapping[str, Any]) -> Answer:
        rows = self.runs(numbers[:SHOWN])
        return Answer(said, rows, len(numbers) - len(rows), found)

    def _attempt(self, row: Row, verdict: int) -> dict[str, Any]:
        """An attempt with its context: what of it changed since, and which other values are in force now."""
        seq, now = row["run"], self.settings(self.now + 1)
        line = self.index.line(seq)
        facts = outline_of(line["diff"]) if line["diff"] else of_text(line["hypothesis"])
        kept = row["status"] == "keep"
        own = {k.name: (k.after if kept else k.before, now[k.name]) for k in facts.knobs if k.name in now}
        changed = {name: values for name, values in own.items() if values[0] not in (None, values[1])}
        keeps = [] if facts.knobs else self._kept_at(facts.places, since=seq)
        then = self.settings(seq)
        differs = {name: (then[name], now[name]) for name in then if now.get(name, then[name]) != then[name]}
        others = {name: values for name, values in differs.items() if name not in changed}
        return {**row, "verdict": verdict, "changed": changed, "changed_by": keeps, "differs": others}

    def _kept_at(self, places: Iterable[str], *, since: int) -> list[int]:
        """The keeps and take-backs after a run that changed one of its places."""
        rows = self.index.rows(
            "SELECT DISTINCT seq FROM name JOIN fact ON fact.name = nid WHERE kind = 'place'"
            " AND name.name IN (SELECT value FROM json_each(?)) AND kept AND seq > ? AND seq <= ?"
            " ORDER BY seq",
            json.dumps(list(places)), since, self.now,
        )  # fmt: skip
        return [seq for (seq,) in rows]

    def _places(self, tried: Iterable[str]) -> list[str]:
        """Where something can be tried: the champion's functions, if known, and where it was."""
        if self.source is None:
            return sorted(tried)
        texts = self.source()
        functions = [
            f"{path}::{it.name}" for path, text in texts.items() for it in definitions(text) if it.is_function
        ]
        return sorted({*functions, *(place for place in tried if _lives(place, texts))})

    def _rarest(self, terms: Iterable[str]) -> list[str]:
        """The few words that tell most, of those that the log has."""
        known = self.index.rows(
            "SELECT term, doc FROM terms WHERE term IN (SELECT value FROM json_each(?)) ORDER BY doc, term",
            json.dumps(list(terms)),
        )
        chosen: list[str] = []
        hits = 0
        for term, documents in known[:RARE_TERMS]:
            hits += documents
            if not chosen or hits <= MOST_HITS:
                chosen.append(term)
        return chosen

    def _spoken(self, terms: Sequence[str]) -> list[tuple[int, float]]:
        """Experiments that have one of these words, by BM25, the best first."""
        sql = "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? AND rowid <= ? ORDER BY rank LIMIT ?"
        either = " OR ".join(f'"{term}"' for term in terms)
        return [(seq, score) for seq, score in self.index.rows(sql, either, self.now, CANDIDATES)]

    def _near(self, text: str) -> tuple[list[int], str]:
        """Experiments that mean what a text does, nearest first, and why none are known.

        None without the extra `embed`.
        """
        if not embeds():
            return [], ""
        from optiloop.index import embed

        try:
            return embed.nearest(self.index, text, now=self.now, most=CANDIDATES), ""
        except UsageError as error:
            return [], str(error)

    def _labels(self, text: str, numbers: list[int]) -> dict[int, str]:
        """Those that go the opposite way, or set another value, than a text says."""
        told, among = of_text(text), json.dumps(numbers)
        labels: dict[int, str] = {}
        for knob in told.knobs:
            names = json.dumps(knobs_of(self.index, named(self.index, knob.name)))
            rows = self.index.rows(
                "SELECT seq, after FROM fact WHERE name IN (SELECT value FROM json_each(?))"
                " AND seq IN (SELECT value FROM json_each(?)) AND after IS NOT NULL",
                names, among,
            )  # fmt: skip
            labels |= {seq: "other value" for seq, after in rows if not fits(after, "=", knob.after or after)}
        for entity, way in told.entities:
            rows = self.index.rows(
                "SELECT seq FROM name JOIN fact ON fact.name = nid WHERE kind = 'entity' AND name.name = ?"
                " AND way = ? AND seq IN (SELECT value FROM json_each(?))",
                entity, str(OPPOSITE.get(way, "")), among,
            )  # fmt: skip
            labels |= {seq: "opposite" for (seq,) in rows}
        return labels

    def _gone(self, numbers: list[int]) -> set[int]:
        """Those whose function or file is no longer in the champion; none where that is not known."""
        if self.source is None:
            return set()
        texts = self.source()
        places = self.index.rows("SELECT nid, name FROM name WHERE kind = 'place'")
        rows = self.index.rows(
            "SELECT seq FROM fact WHERE name IN (SELECT value FROM json_each(?))"
            " AND seq IN (SELECT value FROM json_each(?))",
            json.dumps([nid for nid, place in places if not _lives(place, texts)]), json.dumps(numbers),
        )  # fmt: skip
        return {seq for (seq,) in rows}


def embeds() -> bool:
    """Whether the extra `embed` is installed."""
    return all(find_spec(package) for package in ("wordllama", "tokenizers", "numpy"))


def fused(spoken: Sequence[int], near: Sequence[int]) -> dict[int, float]:
    """One score from two orders: reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""
    scores = {seq: WORDS / (FUSION + rank) for rank, seq in enumerate(spoken, 1)}
    for rank, seq in enumerate(near, 1):
        scores[seq] = scores.get(seq, 0.0) + 1 / (FUSION + rank)
    return scores


_AT_PLACES = "FROM name JOIN fact ON fact.name = nid WHERE kind = 'place'"
_COLUMNS = (
    "run", "id", "time", "status", "verdict", "effect", "gain", "error", "by_ratio",
    "family", "origin", "hypothesis", "reason", "what", "isolated",
)  # fmt: skip


def found_target(target: Target | Path | str) -> Target | Path:
    """A target by its folder or name, or the path of a log. Raises UsageError where it is neither."""
    if isinstance(target, Target):
        return target
    if Path(target).suffix == ".jsonl":
        return Path(target)
    if Path(target).is_file():
        raise UsageError(f"{target} is no log of optiloop; `optiloop import {target}` makes one of it")
    from optiloop.targets import find_target

    return find_target(str(target), here=Path.cwd())


def log_of(target: Target | Path) -> Path:
    """Where a target's log lies."""
    if isinstance(target, Path):
        return target
    from optiloop.git import locate

    return locate(target.root, target.name, target.editable[0]).home / "experiments.jsonl"


def _source_of(target: Target | Path) -> Callable[[], Mapping[str, str]] | None:
    """The champion's texts, read when they are asked for; not known of a log alone."""
    if isinstance(target, Path):
        return None

    def source() -> Mapping[str, str]:
        from optiloop.state import campaign_workspace

        workspace = campaign_workspace(target)
        return workspace.source_at(workspace.head())

    return source


def _until(moment: str) -> str:
    """The last moment that is meant, as a log writes times."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise UsageError(f"{moment!r} is no number of experiments, and no date like 2026-11-01") from None
    if len(moment) == len("2026-11-01"):
        return f"{moment}T99"
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _again(want: Wanted, attempts: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Whether to try something again, and why: the latest attempt that decided something speaks first."""
    decided = [attempt for attempt in attempts if attempt["verdict"]]
    if not attempts:
        return "yes", "it was never tried"
    if not decided:
        return "yes", f"it was tried {_times(len(attempts))}, and nothing was decided"
    last = decided[-1]
    if last["verdict"] == 1:
        replaced = ", ".join(f"{name} is {value} now" for name, (_, value) in last["changed"].items())
        if replaced and want.test:
            return "no", f"it was kept as #{last['run']} and replaced since: {replaced}"
        if want.way in (Way.UP, Way.DOWN):
            return "yes", f"it helped when last tried (#{last['run']}): a step further is another experiment"
        return "no", f"it is in force since #{last['run']}"
    wins = [at for at, attempt in enumerate(decided) if attempt["verdict"] == 1]
    failed = decided[wins[-1] + 1 :] if wins else decided
    same = [attempt for attempt in failed if not attempt["changed"] and not attempt["changed_by"]]
    alone = [attempt for attempt in same if attempt["isolated"]]
    if alone:
        numbers = _listed(attempt["run"] for attempt in alone)
        return "no", f"it failed {_times(len(same))} upon what is in force now, alone in {numbers}"
    if same:
        return (
            "only-if",
            f"alone: in {_listed(attempt['run'] for attempt in same)} other things changed with it",
        )
    since = "; ".join(dict.fromkeys(_since(attempt) for attempt in failed[-3:]))
    return "only-if", f"it failed {_times(len(failed))}, but upon other code: {since}"


def _since(attempt: Mapping[str, Any]) -> str:
    """What changed since an attempt."""
    values = [f"{name} {_arrow(*both)}" for name, both in attempt["changed"].items()]
    keeps = [f"{_listed(attempt['changed_by'][-3:])} changed its place"] if attempt["changed_by"] else []
    return f"since #{attempt['run']} {', '.join([*values, *keeps])}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _listed(numbers: Iterable[int]) -> str:
    chosen = list(numbers)
    return ", ".join(f"#{number}" for number in chosen[-6:]) + (" and earlier" if len(chosen) > 6 else "")


def _counts(verdicts: Iterable[int]) -> dict[str, int]:
    found = Counter(verdicts)
    return {"tried": found.total(), "helped": found[1], "undecided": found[0], "failed": found[-1]}


def _said_counts(counts: Mapping[str, int]) -> str:
    tried, *rest = counts.items()
    return f"{tried[1]:,} tried: " + ", ".join(f"{number:,} {name}" for name, number in rest)


def _both(items: Iterable[str], others: Collection[str]) -> list[str]:
    return [item for item in dict.fromkeys(items) if item in others]


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items()]


def _arrow(old: str | None, new: str | None) -> str:
    return f"{'-' if old is None else old} -> {'-' if new is None else new}"


def _decay(distance: int) -> float:
    return FADED + (1 - FADED) * math.exp2(-distance / HALF_LIFE) if distance < 10 * HALF_LIFE else FADED


def _lives(place: str, texts: Mapping[str, str]) -> bool:
    """Whether a place is still there: its file, and in Python its function."""
    path, _, function = place.partition("::")
    text = texts.get(path)
    if text is None or not function or not path.endswith(".py"):
        return text is not None
    return any(it.name == function for it in definitions(text))


def _rates(tries: Iterable[tuple[str, int]], keeps: Iterable[tuple[str, int]]) -> dict[str, float]:
    """The share of tries that were kept, by name, drawn towards one in ten."""
    tried, kept = Counter[str](), Counter[str]()
    for name, number in tries:
        tried[name] += number
    for name, number in keeps:
        kept[name] += number
    return {name: (kept[name] + 1) / (number + 10) for name, number in tried.items()}
