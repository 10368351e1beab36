"""Which numbers are worth tuning, and over which values: rules by name and default, and directives that overrule them.

Ranges are snapped (to decades, to powers of two), so that a child that differs from its parent in a number usually
declares the same ranges and is recognised as the same program. A directive is written in a comment on the line,
`# knob: 0.005..0.2 log`, `# knob: 8|16|32`, `# knob: fixed`, or comes from the target's hints. What several numbers
must have in common is in `coupling`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cache

from evolve.model import Knob, Number
from operators.literals import Literal


class KnobError(ValueError):
    """A number that cannot be read or bound; the message names the address and the cure."""


# The first family whose pattern is a whole part of a number's name decides how it is tuned. "fixed" never is.
_FAMILIES = (
    ("fixed", "seed|flops|peak|vocab|version|logs?|print|eval|report|port|workers|len|length|seq|context|block_size"),
    ("fraction", "ratio|frac|fraction|share|warmup|warmdown|cooldown"),
    ("dropout", "dropout|drop|p|prob"),
    ("beta", "betas?|momentum|ema"),
    ("decay", "decay|wd"),
    ("scale", "lr|rate|eps|epsilon|std|sigma|scale|gain|clip|cap|softcap|temperature|base|theta"),
    ("batch", "batch|bs"),
    ("period", "every|interval|period"),
    ("kv_heads", "kv_heads?|key_value_heads|kvheads?"),
    ("head_dim", "heads?_(dim|size|width)|d_head"),
    ("heads", "heads?|nheads?"),
    ("depth", "layers?|depth|blocks?"),
    ("width", "dim|width|embd|embed|hidden|d_model|channels"),
    ("steps", "steps|iterations|iters"),
)
_PATTERNS = tuple((family, re.compile(rf"(^|_)({names})(_|$)")) for family, names in _FAMILIES)
_ARGUMENTS = {"dim", "dims", "axis", "size", "shape", "start", "end", "step", "mean", "diagonal", "correction"}
_TRIVIAL = {0, 1, 2, -1, 0.5}

_NUMBER = r"[-+]?[\d_.]+(?:e[-+]?\d+)?(?:\*\*\d+)?"
_INTERVAL = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(\s+log)?", re.IGNORECASE)
_GRAMMAR = "write `low..high`, `low..high log`, `a|b|c` or `fixed`"


def family(literal: Literal) -> str | None:
    """What `literal` is by its name: "beta", "width", ...; None if the name says nothing, or names an axis."""
    if literal.kind == "inline" and literal.name in _ARGUMENTS:
        return None
    return _family(literal.name)


@cache
def _family(name: str) -> str | None:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)", "_", name).lower()
    return next((family for family, pattern in _PATTERNS if pattern.search(spaced)), None)


def tunable(literal: Literal) -> bool:
    """Whether `literal` is a number to tune, going by its name and place alone.

    Constants and fields are, unless their name says otherwise. Other names of the top level need a known name.
    Inline floats are, unless trivial and of unknown name; inline integers are structure, unless they count
    iterations, blocks or sequences, or are the base of a power, as in rotary embeddings.
    """
    known = family(literal)
    if isinstance(literal.value, bool) or known == "fixed" or literal.name.startswith("__"):
        return False
    if literal.kind != "inline":
        return known is not None or literal.kind == "constant"
    if literal.value == 0 or literal.name in _ARGUMENTS:
        return False
    if isinstance(literal.value, int):
        return known in ("steps", "depth", "batch") or (literal.base and literal.value > 2)
    return known is not None or literal.value not in _TRIVIAL


def guess(literal: Literal) -> Knob | None:
    """The knob that the name and the value of `literal` suggest; None for a zero of unknown meaning."""
    known = family(literal)
    if isinstance(literal.value, int):
        return _integer(literal.address, literal.value, known, power="**" in literal.text)
    return _float(literal.address, literal.value, known)


def _float(address: str, value: float, known: str | None) -> Knob | None:
    """Shares and momenta are linear, other positive numbers logarithmic over a decade to either side."""

    def linear(low: float, high: float) -> Knob:
        return Knob(address, "float", min(low, value), max(high, value), False, value)

    if known in ("fraction", "dropout") and 0 <= value < 1:
        return linear(0.0 if value == 0 or known == "dropout" else 0.01, 0.5 if known == "dropout" else 0.95)
    if (known == "beta" and 0 <= value < 1) or (known == "decay" and 0.5 <= value < 1):
        decade = min(-1, _decade(1 - value))  # of the distance to one: 0.9 is -1, 0.999 is -3
        return linear(max(0.5, round(1 - 10.0 ** (decade + 1), 12)), round(1 - 10.0 ** (decade - 1), 12))
    if value == 0:
        return linear(0.0, 0.3) if known == "decay" else None
    near, far = (_power_of_ten(_decade(abs(value)) + shift) for shift in (-1, 1))
    return Knob(address, "float", near, far, True, value) if value > 0 else linear(-far, -near)


def _integer(address: str, value: int, known: str | None, power: bool) -> Knob | None:
    """Batches, widths and heads are choices; small counts linear; large round numbers logarithmic."""
    if value <= 0:
        return None
    if known == "width":
        return _choice(address, value, _ladder(value))
    if known in ("batch", "heads", "head_dim", "kv_heads") or power or (value >= 16 and value & (value - 1) == 0):
        return _choice(address, value, _powers(value))
    if value < 32:
        return Knob(address, "int", 1, 1 << (2 * value - 1).bit_length(), False, value)
    low, high = (int(_power_of_ten(_decade(value) + shift)) for shift in (-1, 1))
    return Knob(address, "int", low, high, True, value)


def _decade(value: float) -> int:
    """The exponent of the power of ten that is nearest on a log scale."""
    return round(math.log10(value))


def _power_of_ten(exponent: int) -> float:
    return float(f"1e{exponent}")


def _powers(value: int) -> list[int]:
    """From a quarter to four times `value`, by factors of two; powers of two are snapped to powers of four."""
    power = value.bit_length() - 1
    middle = 4 ** round(power / 2) if value == 2**power else value
    return [middle * quarters // 4 for quarters in (1, 2, 4, 8, 16)]


def _ladder(value: int) -> list[int]:
    """Widths from half to twice `value`, in steps of about a half."""
    return [value // 2, value * 3 // 4, value, value * 3 // 2, value * 2]


def _choice(address: str, default: Number, values: Iterable[Number]) -> Knob:
    """A choice of `values` and the default, without what is not positive."""
    allowed = tuple(sorted({default, *(value for value in values if value > 0)}))
    return Knob(address, "choice", allowed[0], allowed[-1], False, default, allowed)


def directed(literal: Literal, directive: str) -> Knob | None:
    """The knob that `directive` declares; None for `fixed`. The default is always allowed: ranges are widened to it.

    Raises KnobError for a directive that cannot be read.
    """
    text = directive.strip()
    if text == "fixed":
        return None
    try:
        if interval := _INTERVAL.fullmatch(text):
            low, high, log = interval.groups()
            return _interval(literal, _read(low), _read(high), bool(log))
        first, *others = text.split("|")
        if not others:
            raise ValueError("neither a range nor choices")
        return _choice(literal.address, literal.value, map(_read, (first, *others)))
    except ValueError as error:
        raise KnobError(f"{literal.address}: cannot read the directive {directive!r} ({error}); {_GRAMMAR}") from error


def _interval(literal: Literal, low: Number, high: Number, log: bool) -> Knob:
    if low >= high:
        raise ValueError(f"{low} is not below {high}")
    if log and low <= 0:
        raise ValueError("a log scale needs a positive low end")
    value = literal.value
    low, high = min(low, value), max(high, value)
    whole = all(isinstance(number, int) for number in (low, high, value))
    if whole:
        return Knob(literal.address, "int", low, high, log and low > 0, value)
    return Knob(literal.address, "float", float(low), float(high), log and low > 0, value)


def _read(text: str) -> Number:
    """A number of a directive: `64`, `1e-3`, `2**19`."""
    base, power, exponent = text.strip().partition("**")
    if power:
        return int(int(base) ** int(exponent))
    return int(base) if re.fullmatch(r"[-+]?[\d_]+", base) else float(base)
