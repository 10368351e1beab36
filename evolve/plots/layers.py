"""Places for the nodes of a directed acyclic graph in layers, after Sugiyama, Tagawa & Toda (1981).

A layer is the longest way from a root. An edge that spans several layers has a bend in each between. Within a layer
nodes are ordered by the mean place of their neighbours (barycentre), and moved towards it as far as there is room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

SWEEPS = 24
BEND = 0.35  # the width of an edge that passes, in widths of a node

Node = tuple[str, int]  # a name, and the layer for a bend of an edge; -1 for the node itself


@dataclass(frozen=True)
class Layout:
    """`places` by name: (x in widths of a node from 0, layer from 0); `edges`: (parent, child, places on the way)."""

    places: dict[str, tuple[float, int]]
    edges: list[tuple[str, str, list[tuple[float, int]]]]

    @property
    def width(self) -> float:
        """In widths of a node."""
        xs = [x for x, _ in self.places.values()] + [x for *_, way in self.edges for x, _ in way]
        return max(xs) + 1

    @property
    def layers(self) -> int:
        return 1 + max(layer for _, layer in self.places.values())


def arrange(parents: Mapping[str, Sequence[str]]) -> Layout:
    """`parents` of each node by name, those first that are parents of others; all parents are nodes."""
    layer: dict[str, int] = {}
    for name, above in parents.items():
        layer[name] = 1 + max((layer[p] for p in above), default=-1)
    rows: list[list[Node]] = [[] for _ in range(1 + max(layer.values()))]
    near: defaultdict[Node, list[Node]] = defaultdict(list)
    ways = {}
    for name, above in parents.items():
        rows[layer[name]].append((name, -1))
        for parent in above:
            bends = [(f"{parent}>{name}", i) for i in range(layer[parent] + 1, layer[name])]
            for bend in bends:
                rows[bend[1]].append(bend)
            way = ways[parent, name] = [(parent, -1), *bends, (name, -1)]
            for a, b in zip(way, way[1:], strict=False):
                near[a].append(b)
                near[b].append(a)
    x = _settled(rows, near)
    level = {node: i for i, row in enumerate(rows) for node in row}
    edges = [(a, b, [(x[node], level[node]) for node in way]) for (a, b), way in ways.items()]
    return Layout({name: (x[name, -1], layer[name]) for name in parents}, edges)


def _settled(rows: list[list[Node]], near: Mapping[Node, list[Node]]) -> dict[Node, float]:
    x = {node: place for row in rows for node, place in zip(row, _spread(row, [0.0] * len(row)), strict=True)}
    for _ in range(SWEEPS):
        for way in (rows[1:], rows[-2::-1]):
            for row in way:
                wanted = {node: fmean(x[other] for other in near[node]) if near[node] else x[node] for node in row}
                row.sort(key=lambda node: (wanted[node], node))
                x.update(zip(row, _spread(row, [wanted[node] for node in row]), strict=True))
    lowest = min(x.values())
    return {node: place - lowest for node, place in x.items()}


def _spread(row: Sequence[Node], wanted: Sequence[float]) -> list[float]:
    """Places in this order with room for each, as near to those wanted as can be.

    Least squares, by pool adjacent violators (Ayer et al. 1955).
    """
    room = [0.0]
    for a, b in zip(row, row[1:], strict=False):
        room.append(room[-1] + sum(0.5 if node[1] < 0 else BEND / 2 for node in (a, b)))
    blocks: list[tuple[float, int]] = []  # mean of what is wanted less the room before it, and how many
    for place, before in zip(wanted, room, strict=True):
        mean, n = place - before, 1
        while blocks and blocks[-1][0] > mean:
            other, m = blocks.pop()
            mean, n = (mean * n + other * m) / (n + m), n + m
        blocks.append((mean, n))
    return [mean + before for (mean, before) in zip((m for m, n in blocks for _ in range(n)), room, strict=True)]
