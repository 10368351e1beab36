"""A program with its tuned numbers at another scale of its target: a larger model, say.

The constants that a scale binds are what the scale is. Where a program has them as the seed program has them, they
become those of the other scale. Where it has other ones, tuned or written by an edit, the change is carried over: as a
ratio, to the nearest value that the program allows there, since half a width is a finding about any width; a switch as
it is. All other numbers stay, and a constant that the program no longer has cannot be set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from evolve.model import Genome, Number, Params
from operators.genome import Reader
from operators.knobs import inherit
from operators.literals import literals

Constants = Mapping[str, Number | bool]


@dataclass(frozen=True)
class Rescaled:
    """A program and its numbers at another scale, and in `notes`, a sentence each, what of it is its own there."""

    genome: Genome
    params: Params
    notes: tuple[str, ...] = ()


def constants(source: str) -> dict[str, Number | bool]:
    """The values of a program's constants by address, without those that share one."""
    found = [one for one in literals(source) if one.kind == "constant"]
    uses = Counter(one.address for one in found)
    return {one.address: one.value for one in found if uses[one.address] == 1}


def rescale(reader: Reader, genome: Genome, params: Params, home: Constants, there: Constants) -> Rescaled:
    """`genome` with `params`, found where the seed program has the constants `home`, for where it has them as `there`.

    `reader` is that of the other scale. Raises NotAllowed for a program that its rules forbid.
    """
    mine = {**constants(genome.source), **params}
    kept = [name for name in there if name in mine]
    wanted = {name: _carried(mine[name], home[name], there[name]) for name in kept}
    text = reader.rewrite(genome.source, {name: there[name] for name in kept})
    knobs = {knob.address for knob in reader.read(text).knobs}
    fixed = {name: _like(there[name], wanted[name]) for name in kept if name not in knobs}
    larger = reader.read(reader.rewrite(text, fixed))
    numbers = inherit(larger.knobs, {**params, **wanted})
    now = constants(larger.source) | numbers
    own = [n for n in kept if mine[n] != home[n] and (now[n], there[n]) != (mine[n], home[n])]
    sizes = [n for n in own if not isinstance(now[n], bool)]
    notes = [f"{n} {_scaled(mine[n], home[n], now[n], there[n])}" for n in sizes]
    lost = [name for name in there if name not in mine and there[name] != home[name]]
    notes += [f"has no constant {name}: it keeps its own size there" for name in lost]
    bent = [name for name in params if name not in kept and name in numbers and numbers[name] != params[name]]
    notes += [f"{name} {params[name]:g} becomes {numbers[name]:g}, the nearest that fits" for name in bent]
    return Rescaled(larger, numbers, tuple(notes))


def _carried(mine: Number, home: Number, there: Number) -> Number:
    """What a program's own value of a constant is where the seed program's is `there` instead of `home`."""
    if mine == home:
        return there
    switch = isinstance(mine, bool) or isinstance(there, bool)
    return mine if switch or not home else there * mine / home


def _like(pattern: Number, value: Number) -> Number:
    """`value`, whole and at least 1 where `pattern` is an integer; not a switch."""
    return max(1, round(value)) if type(pattern) is int else value


def _scaled(mine: Number, home: Number, now: Number, there: Number) -> str:
    return f"is {now:g} where the scale has {there:g}, as {mine:g} where it had {home:g}"
