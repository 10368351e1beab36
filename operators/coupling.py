"""What the numbers of one program must have in common, so that any combination of allowed values is a valid program.

Attention: every number of heads and every head dimension divides every width. Batches: a device batch divides the
total batch. Numbers that are not tuned count too: a fixed number of heads still restricts the widths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evolve.model import Knob
from operators.literals import Literal
from operators.ranges import family

_ATTENTION = ("width", "heads", "head_dim", "kv_heads")
_BATCH = "batch"
_TOTAL = ("total", "global", "effective")


def fit(knobs: Sequence[Knob], literals: Sequence[Literal], directed: Iterable[str]) -> tuple[Knob, ...]:
    """`knobs` without the values that would not fit the others, and without those that are left with one value.

    `literals` are all numbers of the program; `directed` the addresses whose values were declared, not guessed.
    """
    groups = _groups(knobs, literals)
    fitted = {knob.address: knob for knob in (*_attention(groups), *_batches(groups.get(_BATCH, []), set(directed)))}
    every = (fitted.get(knob.address, knob) for knob in knobs)
    return tuple(knob for knob in every if knob.kind != "choice" or len(knob.values) > 1)


def _groups(knobs: Sequence[Knob], literals: Sequence[Literal]) -> dict[str, list[Knob]]:
    """Integers of the families that restrict each other, as choices; a number that is not tuned is a choice of one."""
    by_address = {knob.address: knob for knob in knobs}
    groups: dict[str, list[Knob]] = {}
    for literal in literals:
        known, value = family(literal), literal.value
        if known == "width" and literal.part:
            continue  # `hidden = 4 * DIM` is as wide as DIM allows
        if known in (*_ATTENTION, _BATCH) and isinstance(value, int) and not isinstance(value, bool) and value > 0:
            knob = by_address.get(literal.address) or Knob(literal.address, "int", value, value, False, value)
            groups.setdefault(known, []).append(_as_choice(knob))
    return groups


def _as_choice(knob: Knob) -> Knob:
    """An integer range as the choice of its members."""
    return knob if knob.kind == "choice" else _keep(knob, range(int(knob.low), int(knob.high) + 1))


def _keep(knob: Knob, values: Iterable[float]) -> Knob:
    """`knob` as a choice of `values` and its default."""
    kept = tuple(sorted({knob.default, *values}))
    return replace(knob, kind="choice", values=kept, low=kept[0], high=kept[-1], log=False)


def _attention(groups: dict[str, list[Knob]]) -> list[Knob]:
    """Widths, heads, head dimensions and key-value heads that divide as they must.

    Where width, heads and head dimension are all written out, none can move alone: each keeps its default.
    """
    widths, heads, dims, shared = (groups.get(name, []) for name in _ATTENTION)
    if widths and heads and dims:
        return [_keep(knob, ()) for knob in (*widths, *heads, *dims, *shared)]
    group = math.lcm(*(int(knob.default) for knob in shared))  # query heads come in multiples of it
    unit = math.lcm(*(2 * int(knob.default) for knob in heads), *(group * int(knob.default) for knob in dims))
    widths = [_keep(knob, (value for value in knob.values if value % unit == 0)) for knob in widths]
    common = math.gcd(*(int(value) for knob in widths for value in knob.values))  # 0 where no width is written out
    heads = [_keep(knob, (v for v in knob.values if common % (2 * v) == 0 and v % group == 0)) for knob in heads]
    dims = [_keep(knob, (v for v in knob.values if common % (group * v) == 0 and v % 2 == 0)) for knob in dims]
    shared = [_keep(knob, (v for v in knob.values if heads and knob.default % v == 0)) for knob in shared]
    return [*widths, *heads, *dims, *shared]


def _batches(batches: Sequence[Knob], directed: set[str]) -> list[Knob]:
    """Beside a total batch, the device batch only shrinks and the total only grows, each by whole factors.

    The length of a sequence is not known here, so this is what is certain. A directive may say more.
    """
    totals = [knob for knob in batches if any(word in knob.address.lower() for word in _TOTAL)]
    parts = [knob for knob in batches if knob not in totals]
    if not totals or not parts:
        return []
    grown = [_keep(knob, (v for v in knob.values if v % knob.default == 0)) for knob in totals]
    shrunk = [_keep(knob, (v for v in knob.values if knob.default % v == 0)) for knob in parts]
    return [knob for knob in (*grown, *shrunk) if knob.address not in directed]
