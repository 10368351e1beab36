"""Text to genome and back: what the engine, which knows nothing of syntax, is given to read programs with."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from evolve.model import Genome, Number, Params, Rules
from operators import guard, knobs
from operators.tree import skeleton


class NotAllowed(ValueError):
    """A text that may not become a genome; the message says what is wrong with it and where."""


class Reader:
    """Reads programs under the rules of one target. Has no state, so any thread may use it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def rules(self) -> Rules:
        """What a program must keep to."""
        return self._rules

    def read(self, source: str) -> Genome:
        """The genome of `source`. Raises NotAllowed where the guard forbids it or its numbers cannot be read."""
        try:
            if reason := guard.check(source, self._rules):
                raise NotAllowed(reason)
            found = knobs.find(source, self._rules.hints)
            return Genome(source, skeleton(source, knobs.spans(source, self._rules.hints)), found)
        except NotAllowed:
            raise
        except knobs.KnobError as error:
            raise NotAllowed(str(error)) from error
        except RecursionError as error:
            raise NotAllowed("an expression is nested too deeply to be read; split it") from error
        except ValueError as error:  # Python takes longer ones in hexadecimal digits, and does not print them
            most = sys.get_int_max_str_digits()
            raise NotAllowed(f"an integer has more than {most:,} decimal digits; write a shorter one") from error

    def bind(self, genome: Genome, params: Params) -> str:
        """The text to execute: `genome` with the numbers of `params`. Raises KnobError for one it does not allow."""
        return knobs.bind(genome.source, params, self._rules.hints)

    def rewrite(self, source: str, values: Mapping[str, Number | bool]) -> str:
        """`source` with other defaults, such as the constants of a scale. Raises NotAllowed for an unknown constant."""
        try:
            return knobs.rewrite(source, values)
        except knobs.KnobError as error:
            raise NotAllowed(str(error)) from error
