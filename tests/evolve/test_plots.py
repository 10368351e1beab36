"""Plots of real toy runs: what is in them, that it can be read, and that odd text and odd runs do not upset them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from evolve.cli import main
from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Effect, Estimate, Fitness, Objective
from evolve.plots import lineage
from evolve.plots.canvas import canvas, put_labels
from evolve.plots.front import plot_front, staircase
from evolve.plots.layers import arrange
from evolve.plots.lineage import ancestry, plot_lineage, short_name
from evolve.plots.progress import SEED_BAND, plot_progress
from evolve.reports.open import open_history
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import run, told

ODD = "halve $x_1^{2 <script>alert('&')</script> --> 学习"
PLOTS: list[Callable[..., None]] = [plot_front, plot_progress, plot_lineage]


def toy_run(directory: Path, generations: int) -> Path:
    run(directory, generations)
    return directory


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_run(tmp_path_factory.mktemp("toy"), 8)


@pytest.fixture
def history(directory: Path) -> History:
    return open_history(directory)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures as they were when they were written."""
    written: list[Figure] = []
    save = Figure.savefig

    def kept(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        written.append(figure)

    monkeypatch.setattr(Figure, "savefig", kept)
    yield written


def seen(figure: Figure) -> list[Text]:
    texts = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text())
    ticks = {t for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for t in axis.get_ticklabels()}
    shown = {t for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis) for t in axis_labels(axis)}
    return [t for t in texts if t not in ticks or t in shown]


def axis_labels(axis: Any) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    return [t.label1 for t in axis.get_major_ticks() if t.label1.get_visible() and low <= t.get_loc() <= high]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in seen(figure)]


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("dark", [False, True])
def test_no_text_is_cut_off_or_covers_another(
    history: History, plot: Callable[..., None], dark: bool, tmp_path: Path, figures: list[Figure]
) -> None:
    plot(history, tmp_path / "a.png", dark)
    (figure,) = figures
    figure.draw_without_rendering()
    boxes = {text: text.get_window_extent() for text in seen(figure)}
    assert len(boxes) > 5
    for text, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
    covered = [(a, b) for (a, x), (b, y) in combinations(boxes.items(), 2) if x.padded(-1).overlaps(y.padded(-1))]
    assert covered == []


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("name", ["a.svg", "a.PNG"])
def test_the_same_run_gives_the_same_file(
    history: History, plot: Callable[..., None], name: str, tmp_path: Path
) -> None:
    plot(history, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    plot(history, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    assert first.startswith(b"<?xml" if name.endswith("svg") else b"\x89PNG")


def test_the_front_is_told_from_all_else(tmp_path: Path, figures: list[Figure]) -> None:
    infeasible = replace(individual(5, 3.2), fitness=Fitness({"loss": Estimate(3.2, 1)}, 0.2))
    history = told(
        individual(0, 3.0, 1.0),
        individual(1, 2.0, 0.9),
        individual(2, 2.5, 0.5),
        individual(3, 2.8, 0.95),  # dominated
        individual(4, 1.9, 0.95, n=1),  # would be on the front
        infeasible,
        replace(individual(6, 0.1, 0.1), quarantined="causality"),
        individual(7, verdict="failed"),
    )
    plot_front(history, tmp_path / "a.png")
    (axes,) = figures[0].axes
    said = words(figures[0])
    assert {"1", "2", "seed", "seed's loss not reached"} <= set(said)
    assert {"dominated, 3 seeds (1)", "unconfirmed (1)", "infeasible (1)"} <= set(said)
    assert any("5 of 7 candidates" in text and "1 failed, 1 in quarantine" in text for text in said)
    drawn = {c.get_label(): [tuple(map(float, xy)) for xy in c.get_offsets()] for c in axes.collections}
    assert drawn["dominated, 3 seeds (1)"] == [(0.95, 2.8)]
    assert drawn["unconfirmed (1)"] == [(0.95, 1.9)]
    ((x, y),) = drawn["infeasible (1)"]
    assert x > 1.0 and y == 3.2
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    assert [tuple(xy) for xy in axes.lines[1].get_xydata()] == [
        (0.5, 3.0),
        (0.5, 2.5),
        (0.9, 2.5),
        (0.9, 2.0),
        (1, 2.0),
    ]


def test_a_loss_far_above_the_seeds_does_not_squeeze_the_rest(tmp_path: Path, figures: list[Figure]) -> None:
    bad = replace(individual(2, 90.0), fitness=Fitness({"loss": Estimate(90.0, 1)}, 87.0))
    plot_front(told(individual(0, 3.0, 1.0), individual(1, 2.0, 0.9), bad), tmp_path / "a.png")
    assert figures[0].axes[0].get_ylim()[1] < 4


def test_the_staircase_by_hand() -> None:
    corner = (4.0, 4.0)
    assert staircase([], corner) == []
    assert staircase([(2, 2)], corner) == [(2, 4), (2, 2), (4, 2)]
    assert staircase([(3, 1), (1, 3), (2, 3)], corner) == [(1, 4), (1, 3), (3, 3), (3, 1), (4, 1)]
    assert staircase([(5, 5)], corner) == [(5, 5), (5, 5), (5, 5)]  # beyond the corner: nothing is dominated


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_objectives(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[Figure]
) -> None:
    objectives = (Objective("loss"), Objective("seconds_to_target"), Objective("tokens_per_second", "maximize"))
    monkeypatch.setattr(toy, "OBJECTIVES", objectives[:count])
    history = open_history(toy_run(tmp_path, 4))
    for plot in PLOTS:
        plot(history, tmp_path / "a.svg")
    axes = figures[0].axes
    assert len(axes) == max(1, count - 1)
    if count == 1:
        steps = axes[0].lines[0].get_ydata()
        assert list(steps) == sorted(steps, reverse=True)
        assert steps[-1] == pytest.approx(history.front[0].fitness.values["loss"].mean)  # type: ignore[union-attr]
    else:
        assert "higher is better" in axes[1].get_xlabel()


def test_text_of_programs_is_text(tmp_path: Path, figures: list[Figure]) -> None:
    child = replace(individual(1, 2.0, 0.9, parents=(0,)), hypothesis=ODD, effect=Effect(-0.1, 1.0, 0.01))
    other = replace(individual(2, 1.9, 0.8, parents=(1,)), hypothesis="$\\frac{", idea="$\\nonsense{$")
    history = told(individual(0, 3.0, 1.0), child, other)
    plot_lineage(history, tmp_path / "a.svg")
    assert any(text.startswith("halve $x_1^{2 <script>") and "-0.100±0.010" in text for text in words(figures[0]))
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert not [element for element in root.iter() if "script" in str(element.tag)]
    assert "<script" not in re.sub(r"<!--.*?-->", "", (tmp_path / "a.svg").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("plot", [plot_front, plot_lineage])
def test_only_a_seed(plot: Callable[..., None], tmp_path: Path, figures: list[Figure]) -> None:
    plot(told(individual(0, 3.0, 1.0)), tmp_path / "a.png")
    assert any(text.startswith("seed") for text in words(figures[0]))


def test_a_seed_that_is_on_no_front(tmp_path: Path) -> None:
    history = told(individual(0, 3.0, 1.0, n=1), individual(1, 2.0, 0.9, n=1))
    for plot in (plot_front, plot_lineage):
        plot(history, tmp_path / "a.svg")


@pytest.mark.parametrize("plot", PLOTS)
def test_what_cannot_be_plotted_is_said(history: History, plot: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed program has not been measured yet"):
        plot(told(), tmp_path / "a.png")
    with pytest.raises(ConfigError, match=r"its name must end in \.png or \.svg"):
        plot(history, tmp_path / "a.pdf")
    with pytest.raises(ConfigError, match="cannot write .*: No such file or directory"):
        plot(history, tmp_path / "nowhere" / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_seed_that_failed() -> None:
    failed = told(replace(individual(0, verdict="failed"), reason="at smoke: crashed"))
    for plot in (plot_front, plot_progress):
        with pytest.raises(ConfigError, match="seed program failed"):
            plot(failed, Path("a.png"))


def test_without_matplotlib_it_is_said_how_to_get_it(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"plots need matplotlib .*'\.\[plots\]'"):
        plot_front(history, Path("a.png"))


def test_a_text_that_stands_apart_from_its_mark_has_a_line_to_it(tmp_path: Path) -> None:
    near = [(0.5 + x / 60, 0.5 + y / 60) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    for crowd, lines in (([(0.5, 0.5)], 0), (near, 1), ([(i / 50, j / 50) for i in range(51) for j in range(51)], 0)):
        with canvas(tmp_path / "a.png", 8, 6) as (figure, _):
            axes = figure.subplots()
            put_labels(axes, [(0.5, 0.5, "243")], crowd, fontsize=10)
            arrows = [text.arrow_patch for text in axes.texts if text.arrow_patch]
            assert len(arrows) == lines, "where there is no place at all there is no text either"


def test_the_band_around_the_seed_is_the_noise_of_a_training(
    history: History, figures: list[Figure], tmp_path: Path
) -> None:
    plot_progress(history, tmp_path / "a.png")
    above = figures[0].axes[0]
    (band,) = [patch for patch in above.patches if patch.get_label() == SEED_BAND]
    sd, seed = history.noise(1.0), history.seed
    assert sd and seed and seed.fitness
    mean = seed.fitness.values["loss"].mean
    assert (band.get_y(), band.get_height()) == pytest.approx((mean - sd, 2 * sd))  # type: ignore[attr-defined]
    assert SEED_BAND in words(figures[0])


graphs = st.lists(st.lists(st.integers(0, 30), max_size=2), min_size=1, max_size=30).map(
    lambda rows: {str(i): [str(p) for p in {p % i for p in row}] if i else [] for i, row in enumerate(rows)}
)


@given(graphs)
@settings(max_examples=60, deadline=None)
def test_in_a_layout_edges_go_down_and_nothing_is_in_the_way_of_another(graph: dict[str, list[str]]) -> None:
    layout = arrange(graph)
    assert layout.places.keys() == graph.keys()
    assert {(a, b) for a, b, _ in layout.edges} == {(p, name) for name, parents in graph.items() for p in parents}
    for above, below, way in layout.edges:
        assert way[0] == layout.places[above] and way[-1] == layout.places[below]
        assert [y for _, y in way] == list(range(way[0][1], way[-1][1] + 1))
    for (x, y), (other, layer) in combinations(layout.places.values(), 2):
        assert y != layer or abs(x - other) > 0.999
    bends = [place for *_, way in layout.edges for place in way[1:-1]]
    assert all(y != layer or abs(x - b) > 0.6 for x, y in layout.places.values() for b, layer in bends)
    assert min(x for x, _ in layout.places.values()) >= 0 and layout.width <= 1 + len(graph) * 2


def chain(length: int) -> History:
    return told(
        individual(0, 9.0, 1.0), *(individual(i, 9 - i / 9, 0.9, parents=(i - 1,)) for i in range(1, length + 1))
    )


def test_a_long_lineage_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figures: list[Figure]
) -> None:
    history = chain(12)
    kept, left_out = ancestry(history, history.front, 6)
    assert list(kept) == ["0", "8", "9", "10", "11", "12"] and left_out == set(map(str, range(1, 8)))
    monkeypatch.setattr(lineage, "MOST", 6)
    plot_lineage(history, tmp_path / "a.png")
    assert any("7 more ancestors are not shown" in text for text in words(figures[0]))
    assert [line.get_linestyle() for line in figures[0].axes[0].lines].count(":") == 1


def test_every_member_of_the_front_is_shown_before_all_their_ancestors() -> None:
    history = chain(12)
    ends = [history.candidates[name] for name in ("12", "3")]
    assert list(ancestry(history, ends, 5)[0]) == ["0", "3", "10", "11", "12"]
    assert ancestry(history, ends, 99)[1] == set()


def test_the_lineage_of_one_candidate(directory: Path, tmp_path: Path, figures: list[Figure]) -> None:
    history = open_history(directory)
    child = next(c for c in history.candidates.values() if len(c.parents) == 2 and c.fitness)
    arguments = ["plot", "lineage", "--id", child.id, "-o", str(tmp_path / "a.svg"), "--run-dir", str(directory)]
    assert main(arguments) == 0
    said = words(figures[0])
    assert any(f"Lineage of candidate {child.id}" in text or "Lineage of the front" in text for text in said)
    assert all(any(text.startswith(f"{name} ") for text in said) for name in (*child.parents, child.id) if name != "0")
    lines = figures[0].axes[0].lines
    assert len(lines) == sum(len(set(c.parents)) for c in ancestry(history, [child], 99)[0].values())


def test_what_an_edit_is_called() -> None:
    child = individual(1, 1.0, 1.0, parents=(0,))
    assert short_name(replace(child, hypothesis="rotary: turns positions")) == "rotary"
    assert (
        short_name(replace(child, hypothesis="A long sentence of a model\nof two lines")) == "A long sentence of a mo…"
    )
    assert short_name(replace(child, hypothesis="whatever", idea="muon")) == "muon"
    assert short_name(replace(child, edits=(), operator="tune", hypothesis="better numbers")) == "tune"
    assert short_name(replace(child, parents=("1", "2"), operator="crossover@m", hypothesis="both")) == "crossover"


def test_the_command(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for what in ("front", "progress", "lineage"):
        assert main(["plot", what, "--run-dir", str(directory)]) == 0
        assert capsys.readouterr().out == f"wrote {what}.png\n"
    assert main(["plot", "front", "-o", "a.jpg", "--run-dir", str(directory)]) == 2
    assert "must end in .png or .svg" in capsys.readouterr().err
    assert main(["plot", "front", "--id", "1", "--run-dir", str(directory)]) == 2
    assert "--id is for plot lineage" in capsys.readouterr().err
    assert main(["plot", "lineage", "--id", "999", "--run-dir", str(directory)]) == 2
    assert "no candidate '999'" in capsys.readouterr().err
