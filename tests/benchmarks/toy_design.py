"""A design whose programs are cheap to make, for processes that have to import it."""

from __future__ import annotations


class ToyDesign:
    def program(self, index: int) -> str:
        return f"program {index}"
