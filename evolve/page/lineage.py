"""Where the lineage graph puts whom: the front and its ancestors in layers from the seed on, as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evolve.history import History
from evolve.journal import cut, verdict
from evolve.lineage import with_ancestors
from evolve.model import Candidate
from evolve.page.individuals import kind_of
from evolve.plots.layers import arrange

COLUMN, ROW, MARGIN = 92, 46, 34  # pixels
MOST = 300  # individuals in the graph


@dataclass(frozen=True)
class Node:
    """An individual at its place. `word` is what it changed: better, worse, unclear."""

    id: str
    x: float
    y: float
    kind: str
    word: str
    label: str
    title: str


@dataclass(frozen=True)
class Edge:
    """From parent to child. `path` is that of an SVG element."""

    parent: Node
    child: Node
    path: str


@dataclass(frozen=True)
class Graph:
    """Parents first. `left_out` members of the front found no room."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    width: float
    height: float
    left_out: int


def graph_of(history: History) -> Graph:
    """The front with all ancestors; the best members come first where there are too many."""
    chosen: dict[str, Candidate] = {}
    left_out = 0
    for member in history.front:
        line = with_ancestors(history.candidates, [member])
        if len(chosen.keys() | line.keys()) > MOST and chosen:
            left_out += 1
        else:
            chosen |= line
    if not chosen:
        return Graph((), (), 0, 0, 0)
    ordered = sorted(chosen.values(), key=lambda c: c.index)
    layout = arrange({c.id: [p for p in dict.fromkeys(c.parents) if p in chosen] for c in ordered})
    nodes = {c.id: _node(history, c, *_pixels(layout.places[c.id])) for c in ordered}
    edges = [Edge(nodes[a], nodes[b], _path([_pixels(place) for place in way])) for a, b, way in layout.edges]
    width, height = 2 * MARGIN + (layout.layers - 1) * COLUMN, 2 * MARGIN + (layout.width - 1) * ROW
    return Graph(list(nodes.values()), edges, width, round(height, 1), left_out)


def _pixels(place: tuple[float, int]) -> tuple[float, float]:
    """The layers go to the right."""
    down, layer = place
    return MARGIN + layer * COLUMN, round(MARGIN + down * ROW, 1)


def _path(way: Sequence[tuple[float, float]]) -> str:
    """Level at each place, so that a way is smooth."""
    parts = [f"M{way[0][0]:g} {way[0][1]:g}"]
    for (x, y), (to_x, to_y) in zip(way, way[1:], strict=False):
        middle = (x + to_x) / 2
        parts.append(f"C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}")
    return "".join(parts)


def _node(history: History, candidate: Candidate, x: float, y: float) -> Node:
    effect = candidate.effect
    word = "unclear" if not effect or not effect.clear else "better" if effect.delta < 0 else "worse"
    loss = candidate.fitness.values.get(history.loss) if candidate.fitness else None
    title = [
        f"{candidate.id}: {candidate.operator}",
        cut(candidate.hypothesis, 160),
        verdict(candidate) if candidate.index else "the seed program",
    ]
    return Node(
        candidate.id,
        x,
        y,
        kind_of(history, candidate),
        word,
        f"{loss.mean:.3f}" if loss else "",
        ". ".join(cut(part, 200) for part in title if part),
    )
