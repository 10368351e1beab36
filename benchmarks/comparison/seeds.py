"""Seeds of runs, as `--seeds` and a plan name them: `10` is 1 to 10, `11-20` a range, `11,12,15-17` a list."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evolve.config import ConfigError

PART = re.compile(r"([0-9]+)(?:-([0-9]+))?")


def seeds_of(text: str) -> tuple[int, ...]:
    """In the order in which they are named. A number by itself is how many: the seed 7 alone is `7-7`.

    Raises `ConfigError` for what is none of these, a seed below 1, or one that is named twice.
    """
    parts = [PART.fullmatch(part.strip()) for part in text.split(",")]
    found: list[int] = []
    for part in parts:
        if part is None:
            raise _refused(text, "each part is a number or a range")
        first, last = int(part[1]), int(part[2] or part[1])
        if len(parts) == 1 and part[2] is None:
            first = 1
        if not 1 <= first <= last:
            raise _refused(text, "seeds are from 1 on, and a range begins with the lower one")
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        raise _refused(text, "one is named twice")
    return tuple(found)


def seeds_text(seeds: Iterable[int]) -> str:
    """In rising order, ranges where some follow one another: `1, 3, 11-20`."""
    ranges: list[list[int]] = []
    for seed in sorted(seeds):
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)


def _refused(text: str, why: str) -> ConfigError:
    choice = "how many (10 is 1 to 10), a range (11-20) or a list (11,12,15)"
    return ConfigError(f"no seeds: {text!r}; give {choice}: {why}")
