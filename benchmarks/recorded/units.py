"""Knobs on a scale of 0 to 1 and back, in logarithms where the knob says so; a choice is its index."""

from __future__ import annotations

import math

from evolve.model import Knob, Number


def unit(knob: Knob, value: Number) -> float:
    """Where `value` is between the ends of the knob, 0 to 1; a value outside counts as the nearest end."""
    if knob.kind == "choice":
        nearest = min(range(len(knob.values)), key=lambda i: abs(knob.values[i] - value))
        return nearest / max(1, len(knob.values) - 1)
    low, high, at = knob.low, knob.high, min(knob.high, max(knob.low, value))
    if knob.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.0


def from_unit(knob: Knob, at: float) -> Number:
    """The value at a share `at` of the knob's range; each integer and choice has an equal part of 0 to 1.

    Floats have four significant digits, as they are written into a program.
    """
    at = min(1.0, max(0.0, at))
    if knob.kind == "choice":
        return knob.values[min(len(knob.values) - 1, int(at * len(knob.values)))]
    if knob.kind == "int" and not knob.log:
        return min(int(knob.high), int(knob.low) + int(at * (knob.high - knob.low + 1)))
    if knob.log:
        value = math.exp(math.log(knob.low) + at * (math.log(knob.high) - math.log(knob.low)))
    else:
        value = knob.low + at * (knob.high - knob.low)
    value = round(value) if knob.kind == "int" else float(f"{value:.4g}")
    return min(knob.high, max(knob.low, value))
