"""Where the lineage graph puts whom: the front and its ancestors in layers from the seed on, as plain numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evolve.history import History
from evolve.journal import cut, verdict
from evolve.model import Candidate
from evolve.page.individuals import kind_of

COLUMN, ROW, MARGIN = 92, 46, 34  # pixels
MOST = 300  # individuals in the graph
SWEEPS = 6


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
class Graph:
    """Nodes by layer; an edge goes from parent to child. `left_out` members of the front found no room."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[Node, Node]]
    width: float
    height: float
    left_out: int


def graph_of(history: History) -> Graph:
    """The front with all ancestors; the best members come first where there are too many."""
    chosen: dict[str, Candidate] = {}
    left_out = 0
    for member in history.front:
        line = _with_ancestors(history, member)
        if len(chosen.keys() | line.keys()) > MOST and chosen:
            left_out += 1
        else:
            chosen |= line
    ordered = [c for c in history.candidates.values() if c.id in chosen]
    layers = _ordered(_layers(ordered), ordered)
    tallest = max((len(layer) for layer in layers), default=0)
    nodes = {}
    for depth, layer in enumerate(layers):
        top = (tallest - len(layer)) * ROW / 2
        for place, candidate in enumerate(layer):
            nodes[candidate.id] = _node(history, candidate, MARGIN + depth * COLUMN, MARGIN + top + place * ROW)
    edges = [(nodes[p], nodes[c.id]) for c in ordered for p in c.parents if p in nodes]
    width, height = 2 * MARGIN + max(0, len(layers) - 1) * COLUMN, 2 * MARGIN + max(0, tallest - 1) * ROW
    return Graph(list(nodes.values()), edges, width, height, left_out)


def _with_ancestors(history: History, member: Candidate) -> dict[str, Candidate]:
    found, waiting = {member.id: member}, [member]
    while waiting:
        for name in waiting.pop().parents:
            if name not in found and name in history.candidates:
                found[name] = history.candidates[name]
                waiting.append(found[name])
    return found


def _layers(ordered: Iterable[Candidate]) -> list[list[Candidate]]:
    """By the longest way from the beginning, so that every child stands to the right of its parents."""
    depth: dict[str, int] = {}
    layers: defaultdict[int, list[Candidate]] = defaultdict(list)
    for candidate in ordered:
        depth[candidate.id] = 1 + max((depth[p] for p in candidate.parents if p in depth), default=-1)
        layers[depth[candidate.id]].append(candidate)
    return [layers[d] for d in sorted(layers)]


def _ordered(layers: list[list[Candidate]], every: Sequence[Candidate]) -> list[list[Candidate]]:
    """Fewer crossings: each layer by the mean place of its parents, then of its children (Sugiyama et al. 1981)."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for candidate in every:
        for name in candidate.parents:
            children[name].append(candidate.id)
    for sweep in range(SWEEPS):
        places = _places(layers)
        for layer in layers:
            near = {c.id: c.parents if sweep % 2 == 0 else children[c.id] for c in layer}
            layer.sort(key=lambda c: (_mean(places, near[c.id], places[c.id]), c.index))
    return layers


def _places(layers: Sequence[Sequence[Candidate]]) -> dict[str, float]:
    """Places in their layers, counted from the middle."""
    return {c.id: place - len(layer) / 2 for layer in layers for place, c in enumerate(layer)}


def _mean(places: Mapping[str, float], names: Iterable[str], otherwise: float) -> float:
    known = [places[name] for name in names if name in places]
    return sum(known) / len(known) if known else otherwise


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
