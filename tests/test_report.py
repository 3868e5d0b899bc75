"""Reports: what they claim, what hostile text cannot do to them, and golden files of all formats.

After a wanted change of a format: `python tests/test_report.py` writes the golden files anew.
"""

from __future__ import annotations

import io
import json
import math
import random
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from optiloop.foreign import results_tsv
from optiloop.model import (
    Baseline,
    Claim,
    Command,
    Cost,
    Direction,
    Experiment,
    GateResult,
    Interval,
    Measurement,
    Metric,
    Pair,
    Sample,
    Status,
)
from optiloop.report import (
    Campaign,
    html,
    markdown,
    sparkline,
    status,
    terminal,
    words,
)
from optiloop.report.chart import MOST_DOTS, chart
from optiloop.report.pages import fence, md

GOLDEN = Path(__file__).parent / "golden"
METRIC = Metric("combined_us", Command("python benchmark.py"), unit="us")
HOSTILE = "</script><script>alert(1)</script>"


NO_DIFFERENCE = {"difference": None}
"""What a claim says that holds no difference."""


def measured(champion: float, candidate: float, name: str = "combined_us", **more: float) -> Measurement:
    pairs = [
        Pair(Sample({name: champion * f}, 1, 1), Sample({name: candidate * f, **more}, 1, 1), False, seed)
        for seed, f in enumerate((0.99, 1.0, 1.01))
    ]
    return Measurement(tuple(pairs), scale=0.01)


def experiment(number: int, word: Status, **facts: object) -> Experiment:
    plain = Experiment(
        id=f"20260301T0800{number:05d}",
        time=f"2026-03-01T08:{number // 60 % 60:02d}:{number % 60:02d}Z",
        target="text_processor",
        parent="b" * 40,
        status=word,
        reason="",
        origin="rewrite",
        family="",
        hypothesis="",
        tags=(),
        cost=Cost(),
        result=None,
        change=None,
        diff="",
        gates=(),
        measurement=None,
        effect=None,
        interval=None,
        evidence=None,
        seconds=2.0,
        seed=number,
        sandbox="process",
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def campaign(*experiments: Experiment, **facts: object) -> Campaign:
    plain = Campaign(
        target="text_processor",
        goal="Make the text functions fast.",
        metric=METRIC,
        experiments=experiments,
        baseline=Baseline("b" * 40, 1000.0, (0.01, -0.01), 0.01, 1.0),
        editable=("text_processor.py",),
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def claimed(ratio: float | None, low: float = 1.5, high: float = 2.5, commit: str = "c" * 40) -> Claim:
    interval = None if ratio is None else Interval(low, high)
    return Claim(commit, "2026-03-01T09:00:00Z", 20, 1010.0, 490.0, ratio, interval)


DIFF = """--- a/text_processor.py
+++ b/text_processor.py
@@ -1,3 +1,3 @@
 def join(words):
-    return reduce(lambda a, b: a + b, words)
+    return "".join(words)  # <b>&amp;</b>
"""
KEEP = experiment(
    0,
    Status.KEEP,
    reason="evidence 480",
    family="join",
    hypothesis="Join `words` once instead of adding them up",
    commit="c" * 40,
    diff=DIFF,
    measurement=measured(1000.0, 500.0, peak_mb=512.0),
    effect=2.0,
    interval=Interval(1.9, 2.1),
    evidence=480.0,
)
SMALL = campaign(
    KEEP,
    experiment(
        1,
        Status.DISCARD,
        family="cache",
        hypothesis="Cache *all* | pipes",
        reason="not proved better",
        measurement=measured(500.0, 505.0),
        effect=0.99,
        interval=Interval(0.9, math.inf),
    ),
    experiment(2, Status.DUPLICATE, family="join", hypothesis="Join again", reason="the log knows it: 0"),
    experiment(3, Status.GATE_FAILED, family="cache", hypothesis="Forget some", reason="tests: 2 failed"),
    experiment(
        4,
        Status.CRASH,
        origin="llm",
        hypothesis="Use [numpy](x)",
        reason="ImportError\n  numpy",
        cost=Cost(0.0123, 2048),
    ),
    experiment(
        5, Status.VIOLATION, origin="llm", hypothesis="Edit the\tbenchmark", reason="touched the judge"
    ),
    experiment(6, Status.NO_PROPOSAL, origin="llm", reason="the answer held no code"),
    claim=claimed(2.05),
    diff=DIFF,
)


def realistic(count: int = 60, seed: int = 7) -> Campaign:
    """A plausible campaign with every status, a few large early wins and many small late ones."""
    chance, value, rows = random.Random(seed), 1000.0, []
    families = ["join", "memoise", "hoist", "set-lookup", "comprehension", "regex-compile", "generator"]
    for number in range(count):
        family = chance.choice(families)
        facts = {
            "family": family,
            "hypothesis": f"{family}: rework the inner loop of function {chance.randint(1, 30)} with no copy",
            "reason": "the samples do not prove a gain within the budget",
            "seconds": chance.uniform(1, 9),
            "origin": chance.choice(["rewrite", "tune", "openai:some-model"]),
            "cost": Cost(chance.uniform(0, 0.02), chance.randint(0, 4000)),
        }
        word = chance.choices(list(Status), [0.2, 0.45, 0.1, 0.12, 0.06, 0.02, 0.05])[0]
        if word in (Status.KEEP, Status.DISCARD):
            better = word is Status.KEEP
            effect = 1 + chance.expovariate(3 + number / 5) if better else chance.uniform(0.6, 1.01)
            facts |= {"measurement": measured(value, value / effect), "effect": effect}
            facts |= {"interval": Interval(effect * 0.97, effect * 1.03)}
            if better:
                value /= effect
                facts |= {"commit": f"{chance.getrandbits(160):040x}", "diff": DIFF}
        rows.append(experiment(number, word, **facts))
    last = [row.commit for row in rows if row.commit]
    claim = Claim(
        last[-1], "2026-03-01T09:00:00Z", 20, 1001.0, value, 1000 / value, Interval(960 / value, 1040 / value)
    )
    return campaign(*rows, claim=claim, diff=DIFF * 3)


# --- status ------------------------------------------------------------------------------------------


def test_the_champion_s_value_is_the_claim_s_if_that_is_fresh() -> None:
    assert status(SMALL)["champion"] == {"value": 490.0, "commit": "c" * 40, "experiment": KEEP.id}
    stale = replace(SMALL, claim=claimed(9.0, commit="d" * 40))
    assert status(stale)["champion"] == {"value": 500.0, "commit": "c" * 40, "experiment": KEEP.id}
    assert (
        status(stale)["improvement"]
        == {"ratio": None, "low": None, "high": None, "verified": False} | NO_DIFFERENCE
    )


def test_before_the_first_keep_the_baseline_is_the_champion() -> None:
    found = status(campaign(claim=claimed(1.0, commit="b" * 40)))
    assert found["champion"] == {"value": 1000.0, "commit": "b" * 40, "experiment": None}
    assert (
        found["improvement"] == {"ratio": None, "low": None, "high": None, "verified": False} | NO_DIFFERENCE
    )
    assert found["statuses"] == {word.value: 0 for word in Status}


def test_an_empty_campaign_knows_nothing_and_invents_nothing() -> None:
    found = status(campaign(baseline=None))
    assert found["champion"] == {"value": None, "commit": None, "experiment": None}
    assert found["baseline"] == {"value": None}


@pytest.mark.parametrize(
    ("claim", "low", "high", "verified", "sentence"),
    [
        (claimed(2.0, 1.5, 2.5), 1.5, 2.5, True, "2.000× better, verified (95 % interval 1.500 to 2.500"),
        (claimed(1.1, 0.9, 1.3), 0.9, 1.3, False, "1.100× better, not verified (95 %"),
        (claimed(1.1, 1.0, 1.3), 1.0, 1.3, False, "not verified"),
        (claimed(0.8, 0.7, 0.9), 0.7, 0.9, False, "measured to be worse"),
        (claimed(2.0, 1.2, math.inf), 1.2, None, True, "1.200 to ∞"),
        (claimed(2.0, -math.inf, math.inf), None, None, False, "not verified"),
        (claimed(None), None, None, False, "no interval"),
        (None, None, None, False, "not measured afresh"),
    ],
)
def test_verified_only_if_the_interval_excludes_no_improvement(
    claim: Claim | None, low: float | None, high: float | None, verified: bool, sentence: str
) -> None:
    one = campaign(KEEP, claim=claim)
    improvement = {"ratio": claim.ratio if claim else None, "low": low, "high": high, "verified": verified}
    improvement |= NO_DIFFERENCE
    assert status(one)["improvement"] == improvement
    assert sentence in html(one)
    assert sentence in markdown(one)
    assert sentence in plain(one)
    json.dumps(status(one), allow_nan=False)


# --- text that fights back ---------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects the tags of a page, and checks that they nest."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags_of(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    return tags


def hostile_campaign(text: str) -> Campaign:
    everywhere = {
        "hypothesis": text,
        "reason": text,
        "family": text,
        "origin": text,
        "diff": text,
        "sandbox": text,
    }
    rows = [replace(row, **everywhere) for row in SMALL.experiments]  # type: ignore[arg-type]
    metric = replace(METRIC, name=text or "m", unit=text)
    return replace(
        SMALL,
        experiments=tuple(rows),
        target=text,
        goal=text,
        metric=metric,
        editable=(text,),
        diff=text,
    )


def test_a_hostile_page_runs_nothing_and_asks_nobody() -> None:
    page = html(hostile_campaign(HOSTILE + '"><img src=x onerror=alert(1)>'))
    tags = tags_of(page)
    assert not {"script", "img", "iframe", "object", "link", "form", "a"} & tags.seen
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("src", "href")]
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


@given(st.text(max_size=60))
def test_any_text_makes_a_page_that_nests_and_a_table_of_five_columns(text: str) -> None:
    hostile = hostile_campaign(text)
    tags_of(html(hostile))
    markdown(hostile)
    assert all(line.count("\t") == 4 for line in results_tsv(hostile).rstrip("\n").split("\n"))
    assert "\x1b" not in plain(hostile)


def test_markdown_shows_hostile_text_as_it_is() -> None:
    assert md("<b>*x*</b> | [a](b)\n# y") == r"&lt;b&gt;\*x\*&lt;/b&gt; \| \[a\](b) # y"
    assert md("- x") == r"\- x"
    assert md("1. x") == r"1\. x"
    assert md("pre-allocate") == "pre-allocate"
    assert "<script" not in markdown(hostile_campaign(HOSTILE)).replace(fence(HOSTILE), "")


@given(st.text("`a\n~", max_size=30))
def test_a_code_block_cannot_be_ended_from_inside(text: str) -> None:
    opening, *body, closing = fence(text).split("\n")
    assert opening == closing + "diff"
    assert not any(line.strip().startswith(closing) for line in body)


def test_a_very_long_hypothesis_is_cut() -> None:
    long = campaign(replace(KEEP, hypothesis="x" * 10**6, reason="y" * 10**6), claim=SMALL.claim)
    assert len(html(long)) < 50_000
    assert len(markdown(long)) < 50_000


def test_unicode_survives() -> None:
    one = campaign(replace(KEEP, hypothesis="größer 速い 🚀 עברית"))
    for text in (html(one), markdown(one), results_tsv(one), plain(one)):
        assert "größer 速い 🚀" in text


# --- sizes -------------------------------------------------------------------------------------------


def test_ten_thousand_experiments_stay_under_two_megabytes() -> None:
    large = realistic(10_000)
    large = replace(large, experiments=tuple(replace(e, diff=e.diff * 40) for e in large.experiments))
    page = html(large)
    assert len(page.encode()) < 2_000_000
    assert page.count("<circle") <= MOST_DOTS + len(Status)
    assert "The diff is left out here" in page
    assert "are left out" in page
    assert len(markdown(large).encode()) < 2_000_000


def test_thinning_keeps_every_keep() -> None:
    rows = [experiment(n, Status.DISCARD, measurement=measured(1, 1)) for n in range(5000)]
    rows[1234] = replace(KEEP, id="k")
    drawn = chart(campaign(*rows))
    assert drawn is not None
    assert sum(dot.status is Status.KEEP for dot in drawn.dots) == 1
    assert len(drawn.dots) == MOST_DOTS
    assert drawn.left_out == 5000 - MOST_DOTS


def test_no_experiments_make_a_report_all_the_same() -> None:
    for empty in (campaign(), campaign(baseline=None)):
        assert "Nothing was measured yet" in html(empty)
        assert "Nothing yet" in markdown(empty)
        assert "nothing was kept" in plain(empty)
    assert results_tsv(campaign(baseline=None)) == "commit\tcombined_us\tmemory_gb\tstatus\tdescription\n"


# --- the picture -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("best", "log"), [(500.0, False), (100.0, True)])
def test_the_scale_is_logarithmic_where_values_span_more_than_four_times(best: float, log: bool) -> None:
    drawn = chart(campaign(replace(KEEP, measurement=measured(1000, best))))
    assert drawn is not None
    assert drawn.log is log
    assert len(drawn.rows) >= 3


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_any_finite_values_can_be_drawn(values: list[float]) -> None:
    rows = [experiment(n, Status.DISCARD, measurement=one_pair(value)) for n, value in enumerate(values)]
    drawn = chart(campaign(*rows, baseline=None))
    assert drawn is None or all(0 <= dot.y <= 380 for dot in drawn.dots)
    assert "nan" not in html(campaign(*rows, baseline=None))


def one_pair(value: float) -> Measurement:
    sample = Sample({"combined_us": value}, 1, 1)
    return Measurement((Pair(sample, sample, False, 0),))


def test_a_wild_miss_does_not_flatten_the_picture() -> None:
    rows = [experiment(n, Status.DISCARD, measurement=measured(1, 1.0 + n / 1000)) for n in range(50)]
    drawn = chart(
        campaign(*rows, experiment(50, Status.DISCARD, measurement=measured(1, 1e9)), baseline=None)
    )
    assert drawn is not None
    assert not drawn.log


# --- the champion's course in a terminal -------------------------------------------------------------


def plain(one: Campaign) -> str:
    console = Console(file=io.StringIO(), width=2000, color_system=None)
    console.print(terminal(one))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_sparkline_goes_from_the_lowest_bar_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3, 3]) == "▁▁"
    assert sparkline([]) == ""


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=200), st.integers(1, 80))
def test_a_sparkline_is_as_wide_as_asked(values: list[float], width: int) -> None:
    assert len(sparkline(values, width=width)) == min(len(values), width)


def test_markup_in_a_hypothesis_is_only_text() -> None:
    assert "[bold red]x[/]" in plain(campaign(replace(KEEP, hypothesis="[bold red]x[/]")))


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.9979, "0.9979"), (0.969686, "0.96969"), (12345.6, "12,346"), (2.6001, "2.6001"),
     (1e-7, "1.0000e-07"), (123456789.0, "1.2346e+08"), (100.0, "100"), (None, "–"), (math.inf, "∞")],
)  # fmt: skip
def test_numbers_keep_five_digits(value: float | None, shown: str) -> None:
    assert words.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.5, "0.5 s"), (59.0, "59 s"), (65.0, "1 min 5 s"), (3599.0, "59 min 59 s"), (37800.0, "10 h 30 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_the_selection_estimate_is_the_product_of_the_keeps_and_called_biased() -> None:
    twice = campaign(KEEP, replace(KEEP, id="second", effect=3.0))
    assert twice.selection_estimate == pytest.approx(6.0)
    assert "biased upward" in markdown(twice)
    assert "≤ 0.02, of 2 tested" in markdown(twice)


def test_a_maximised_metric_says_that_higher_is_better() -> None:
    assert "higher is better" in html(replace(SMALL, metric=replace(METRIC, direction=Direction.MAXIMIZE)))


def test_a_discard_after_one_run_has_its_number_in_upstream_s_table() -> None:
    screen = Sample({METRIC.name: 1200.0, "peak_mb": 512.0}, 1, 1)
    one = experiment(1, Status.DISCARD, hypothesis="try", measurement=Measurement((), screen=screen))
    assert results_tsv(campaign(one)).splitlines()[-1] == "\t1200.000000\t0.5\tdiscard\ttry"


def test_what_ending_hopeless_runs_saved_is_told() -> None:
    course = ((0.25, 9.0), (0.3, 8.0))
    ended = experiment(1, Status.DISCARD, measurement=Measurement((), screen=Sample({}, 0.25, 0.2, course)))
    whole = experiment(
        2, Status.DISCARD, measurement=Measurement((), screen=Sample({METRIC.name: 2}, 0.5, 0.5))
    )
    for form in (markdown, html, plain):
        assert "1 hopeless run, about 0.75 s saved" in form(campaign(ended, whole))
        assert "hopeless" not in form(campaign(whole))


# --- golden files ------------------------------------------------------------------------------------

FORMATS = {
    "status.json": lambda one: json.dumps(status(one), indent=2) + "\n",
    "report.md": markdown,
    "report.html": html,
    "results.tsv": results_tsv,
    "report.txt": lambda one: "\n".join(line.rstrip() for line in plain(one).split("\n")),
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_golden(name: str) -> None:
    assert FORMATS[name](SMALL) == (GOLDEN / name).read_text(encoding="utf-8")


def test_where_more_could_be_found_is_said_once_nothing_is_left() -> None:
    secondary = {
        "slow_us": (60.0, 30.0),
        "quick_us": (10.0, 10.0),
        "peak_mb": (9.0, 9.0),
        "import_us": (99.0, 99.0),
    }
    kept = experiment(
        1, Status.KEEP, origin="rewrite", measurement=replace(measured(100, 50), secondary=secondary)
    )
    one = replace(campaign(kept, experiment(2, Status.DISCARD, origin="tune")), exhausted="portfolio")
    assert one.shares == {"slow": 0.75, "quick": 0.25}
    said = "nothing by portfolio: rewrite 1 (1 kept), tune 1 (0 kept). A model, or you, may know more"
    said += "; the time goes to slow 75%, quick 25%"
    assert said in markdown(one)
    assert said in html(one)
    assert status(one)["exhausted"]["tried"]["tune"] == {"experiments": 1, "kept": 0}  # type: ignore[index]
    again = replace(one, exhausted="")
    assert status(again)["exhausted"] is None
    assert "nothing by" not in markdown(again) + html(again)


def test_reports_say_how_often_the_hold_out_was_asked() -> None:
    asked = (GateResult("hold-out", True, "", 1.0),)
    held = campaign(experiment(1, Status.DISCARD), experiment(2, Status.KEEP, gates=asked), peeks=200)
    for report in (plain(held), markdown(held), html(held)):
        assert "asked 1 of 200 times" in report
        assert "asked" not in plain(campaign())
    assert status(held)["holdout"] == {"asked": 1, "peeks": 200}
    assert status(campaign())["holdout"] is None


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, render in FORMATS.items():
        (GOLDEN / name).write_text(render(SMALL), encoding="utf-8")
