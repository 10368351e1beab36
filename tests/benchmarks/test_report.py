"""The report of a benchmark: its files, what they say, and that they hold together where something is missing."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.comparison.hypotheses import FILE, Hypothesis
from benchmarks.comparison.plots import plots
from benchmarks.comparison.posthocs import draw_critical_differences
from benchmarks.comparison.report import add_arguments, doubts, headline, hypotheses_of, main, report
from benchmarks.comparison.statistics import Comparison, compare
from benchmarks.comparison.tables import tables
from benchmarks.comparison.trace import Retrained, place, read, traces, write
from evolve.config import ConfigError
from evolve.plots.canvas import canvas
from tests.benchmarks.made_up import Axis, Problem, failed, search, trace
from tests.benchmarks.test_statistics import PRIMARY, needs_posthocs

HOSTILE = "<script>alert(1)</script>|\x1b[31m"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    """Ours, a worse method with a hostile name on fewer seeds, and one that always fails."""
    out = tmp_path_factory.mktemp("benchmark") / "report"
    runs = [search("ours", 2.4, seed) for seed in range(4)] + [search(HOSTILE, 3.0, seed) for seed in range(3)]
    runs += [trace([failed(100.0), failed(200.0)], method="hopeless", seed=seed) for seed in range(3)]
    return out, report(runs, [Problem()], out)


def test_everything_is_written(written: tuple[Path, Comparison]) -> None:
    names = {path.name for path in written[0].iterdir()}
    stems = {f"{stem}_toy" for stem in ("final", "claims", "differences", "costs")} | {"ranks", "runs", "curves"}
    drawn = {f"{stem}_toy.png" for stem in ("anytime", "pairs", "differences", "attainment", "claims")} | {"ranks.png"}
    assert names == {f"{stem}.csv" for stem in stems} | drawn | {"report.md", "report.html"}
    assert all((written[0] / name).read_bytes()[:4] == PNG for name in drawn)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_holds_each_run_and_the_curves(written: tuple[Path, Comparison]) -> None:
    out, comparison = written
    runs = rows(out / "runs.csv")
    assert [(row["method"], row["seed"]) for row in runs][:5] == [*(("ours", str(s)) for s in range(4)), (HOSTILE, "0")]
    assert float(runs[0]["loss"]) == comparison.tasks[0].runs["ours"][0].values["loss"]
    last = [row for row in rows(out / "curves.csv") if row["method"] == "ours" and row["measure"] == "loss"][-1]
    values = [float(row["loss"]) for row in runs if row["method"] == "ours"]
    assert float(last["median"]) == pytest.approx(np.median(values), rel=1e-6)
    assert min(values) <= float(last["low"]) <= float(last["median"]) <= float(last["high"]) <= max(values)


def test_markdown_says_what_there_is_and_what_is_missing(written: tuple[Path, Comparison]) -> None:
    text = (written[0] / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# 3 methods at equal cost; no primary test was planned\n")
    assert "not all methods have run the same seeds" in text and "4 seeds: ours" in text
    assert re.search(r"\| hopeless \| 3 \| 0 \| – \| 4 \| 0 \| 4 \| 0 \| 1 \| 1 \|", text)
    assert re.search(r"\| hopeless \| 200 \| 200 \| 0 \| 2 \| 6 \(100%\) \|", text)
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) == 6 and all((written[0] / name).exists() for name in pictures)
    assert "<script" not in text and "\x1b" not in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines if "hypervolume, claimed" in line} == {10}


def test_the_page_is_one_file_without_a_script_or_an_address(written: tuple[Path, Comparison]) -> None:
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert "<script" not in text and "&lt;script&gt;" in text and "\x1b" not in text
    assert not re.search(r"""(?:src|href|srcset)="(?!data:|#)""", text)
    assert text.count("(prefers-color-scheme: dark)") >= 6


def test_the_same_runs_give_the_same_bytes(written: tuple[Path, Comparison], tmp_path: Path) -> None:
    drawn = plots(written[1], tmp_path)
    assert [plot.path.read_bytes() for plot in drawn] == [(written[0] / plot.path.name).read_bytes() for plot in drawn]


def test_one_method_with_one_seed_one_objective_and_no_front_has_a_report(tmp_path: Path) -> None:
    one = Problem(objectives=(Axis("val_bpb"),), reference={"val_bpb": 4.0}, seed={"val_bpb": 4.0})
    report([trace([failed(5.0)], method="only")], [one], tmp_path / "deep" / "report", ours="only")
    names = {path.name for path in (tmp_path / "deep" / "report").glob("*.png")}
    assert names == {"anytime_toy.png", "claims_toy.png"}


@needs_posthocs
def test_primary_tests_come_first_and_lose_openly() -> None:
    runs = [search(method, level, s) for method, level in (("ours", 2.8), ("tpe", 2.4)) for s in range(8)]
    seeds = tuple(range(8))
    planned = [Hypothesis("toy", "ours", other, "confirmed_hypervolume", seeds) for other in ("tpe", "greedy")]
    found = compare(runs, [Problem()], "ours", planned)
    assert headline(found) == "ours in 2 primary tests at equal cost: 1 worse, 1 not tested yet"
    first = tables(found)[0]
    assert [dict(zip(first.columns, row, strict=True))["verdict"] for row in first.rows] == [
        "worse",
        "not tested: 0 of 8 pairs",
    ]
    assert [dict(zip(first.columns, row, strict=True))["p, Holm"] for row in first.rows] == ["0.0156", "–"]


def test_a_claim_that_does_not_hold_is_told() -> None:
    run = search("ours", 2.4, 3)
    claims = {p.candidate: p.values["val_bpb"] for p in run.points if p.values}
    best = min(run.retrained, key=lambda m: claims[m.candidate])
    broken = [Retrained(m.candidate, {}) if m is best else m for m in run.retrained]
    said = "toy: the best claim failed a fresh training, and the next one that holds counts: ours 3."
    assert said in doubts(compare([replace(run, retrained=tuple(broken))], [Problem()], "ours"))
    assert said not in doubts(compare([run], [Problem()], "ours"))


def test_a_run_that_was_not_scored_on_test_text_where_others_were_is_told() -> None:
    other = search("ours", 2.4, 4)
    bare = [replace(m, metrics={n: v for n, v in m.metrics.items() if n != "test_bpb"}) for m in other.retrained]
    runs = [search("ours", 2.4, 3), replace(other, retrained=tuple(bare))]
    said = "toy: not scored on test text, where others were: ours 4."
    assert said in doubts(compare(runs, [Problem()], "ours"))
    assert not any("test text" in doubt for doubt in doubts(compare(runs[1:], [Problem()], "ours")))


@needs_posthocs
def test_runs_that_were_left_out_are_named(tmp_path: Path) -> None:
    runs = [search(method, 2.4, s) for method in ("ours", "tpe") for s in (1, 2, 3, 11, 12)]
    report(runs[1:], [Problem()], tmp_path, hypotheses=[Hypothesis("toy", "ours", "tpe", "loss", (11, 12))])
    said = "toy: left out of all numbers, as the plan names the seeds 11-12: ours 2-3; tpe 1-3."
    assert said in (tmp_path / "report.md").read_text() and said in (tmp_path / "report.html").read_text()
    assert {row["seed"] for row in rows(tmp_path / "runs.csv")} == {"11", "12"}


@needs_posthocs
def test_p_values_are_where_the_texts_say_and_nowhere_else() -> None:
    levels = {"ours": 2.4, "greedy": 2.5, "tpe": 2.6}
    runs = [search(method, level, s) for method, level in levels.items() for s in range(8)]
    plan = [Hypothesis("toy", "ours", "tpe", "confirmed_loss", tuple(range(8)))]
    found = {table.name: table for table in tables(compare(runs, [Problem()], "ours", plan))}
    heads = {name: [*table.columns, *(row[0] for row in table.rows)] for name, table in found.items()}
    of_p = {name: [word for word in words if re.match(r"(.*'s )?p\b", word)] for name, words in heads.items()}
    friedman = "Friedman's p (exploratory)"
    assert {n: w for n, w in of_p.items() if w} == {"tests": ["p, Holm", "p"], "ranks": [friedman, friedman]}
    assert [row[1] for row in found["ranks"].rows if row[0] == friedman] == ["hypervolume", "loss"]
    assert "No other pair of methods has a p-value" in found["tests"].note and "Friedman" in found["tests"].note
    assert "no verdict rests on it" in found["ranks"].note


@needs_posthocs
def test_a_verdict_does_not_wait_for_friedman() -> None:
    """With many methods that are alike the omnibus test says nothing; the planned pair is tested all the same."""
    runs = [search(method, 2.4, s) for method in "abcdefgh" for s in range(6)]
    runs += [search(method, level, s) for method, level in (("ours", 2.4), ("tpe", 2.5)) for s in range(6)]
    same = [replace(run, points=runs[run.seed].points) for run in runs]
    found = compare(same, [Problem()], "ours", [Hypothesis("toy", "ours", "tpe", "confirmed_loss", tuple(range(6)))])
    assert all(p is None for ranks in found.ranks for p in ranks.friedman.values())
    assert found.tests[0].p is not None


@needs_posthocs
def test_critical_differences_are_drawn(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 4)) + [0, 0, 3, 6]
    with canvas(tmp_path / "cd.png", 7, 3) as (figure, theme):
        axes = figure.subplots()
        draw_critical_differences(axes, ["a", "b", "c", "ours"], values, theme.ink)
        texts = {text.get_text() for text in axes.texts}
    assert any(text.startswith("ours") or text.endswith("ours") for text in texts)
    assert (tmp_path / "cd.png").read_bytes()[:4] == PNG


def test_critical_differences_need_enough_tasks(written: tuple[Path, Comparison]) -> None:
    assert len(written[1].tasks) < 5 and not (written[0] / "critical_differences.png").exists()


def test_hypotheses_of_the_folder_are_used_unless_others_are_named(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert hypotheses_of(parser.parse_args([str(tmp_path), "-o", "x"])) == []
    (tmp_path / FILE).write_text(PRIMARY)
    assert len(hypotheses_of(parser.parse_args([str(tmp_path), "-o", "x"]))) == 2
    (tmp_path / "mine.toml").write_text(PRIMARY.replace('"tpe", ', ""))
    named = parser.parse_args([str(tmp_path), "-o", "x", "--hypotheses", str(tmp_path / "mine.toml")])
    assert [each.against for each in hypotheses_of(named)] == ["greedy"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        report([search("ours", 2.0, 0)], [Problem()], tmp_path / "taken")


def command_line(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_the_command_reads_what_runs_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ModuleType("benchmarks.tasks.toy")
    task.TASK = Problem()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks.tasks.toy", task)
    runs = [search("ours", 2.4, seed) for seed in range(2)]
    for run in runs:
        write(run, place(tmp_path, run))
    assert (tmp_path / "toy" / "ours" / "seed1" / "trace.json").exists() and list(traces(tmp_path)) == runs
    assert main(command_line(tmp_path, "-o", tmp_path / "out")) == 0
    assert (tmp_path / "out" / "report.html").exists()


def test_a_folder_without_runs_and_a_task_that_there_is_not_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to report"):
        main(command_line(tmp_path, "-o", tmp_path / "out"))
    run = search("ours", 2.4, 0, task="moon")
    write(run, place(tmp_path, run))
    with pytest.raises(ConfigError, match="there is no task moon"):
        main(command_line(tmp_path, "-o", tmp_path / "out"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"points": [{}], "retrained": []}', '{"points": 1, "retrained": []}']
)
def test_a_file_that_is_no_trace_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is not the trace of a run"):
        read(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "none.json")
