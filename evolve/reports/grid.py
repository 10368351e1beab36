"""Tables of which no number is cut: where the room is too small, whole columns are left out, and it is said which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 1  # columns between two cells
LONG = 9  # columns of a word that stays whole in text that may be broken anywhere


@dataclass(frozen=True)
class Head:
    """What stands above a column, and what may happen to its cells where there is little room.

    `breaks`: into lines "never", between "words", or "anywhere" in a word of more than `LONG` columns. `out`: the
    columns with the highest are left out first, those with 0 never. `name` is what it is called when it is.
    """

    text: str
    left: bool = False
    breaks: Literal["never", "words", "anywhere"] = "never"
    out: int = 0
    name: str = ""

    @property
    def called(self) -> str:
        return self.name or " ".join(self.text.replace("-\n", "").split())

    def least(self, cells: Sequence[str]) -> int:
        """The columns that it needs."""
        if self.breaks == "never":
            return self.most(cells)
        words = [cell_len(word) for cell in cells for word in cell.split()]
        longest = max(words, default=0)
        return max(_width([self.text]), min(longest, LONG) if self.breaks == "anywhere" else longest)

    def most(self, cells: Sequence[str]) -> int:
        """The columns in which none of its cells is broken."""
        return _width([self.text, *cells])


@dataclass(frozen=True)
class Grid:
    """Rows of text below heads, and below a line the `last` ones. Text is shown as it is: no markup, no emoji.

    What stays is shown whole also where there is no room for it: print it with `crop=False`.
    """

    heads: Sequence[Head]
    rows: Sequence[Sequence[str]]
    last: Sequence[Sequence[str]] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widths = self.fitted(options.max_width)
        yield self._table(shown, widths)
        if out := [head.called for i, head in enumerate(self.heads) if i not in shown]:
            yield Text(f"Left out for want of room: {', '.join(out)} ({self.room} columns show all).")

    @property
    def room(self) -> int:
        """The columns in which all of it can be shown."""
        return _sum([head.least(self._cells(i)) for i, head in enumerate(self.heads)])

    def fitted(self, room: int) -> tuple[list[int], list[int]]:
        """Which heads are shown in so many columns, and how wide each is."""
        shown = list(range(len(self.heads)))
        least = [head.least(self._cells(i)) for i, head in enumerate(self.heads)]
        while _sum([least[i] for i in shown]) > room and any(self.heads[i].out for i in shown):
            shown.remove(max(shown, key=lambda i: self.heads[i].out))
        left = room - _sum([least[i] for i in shown])
        widths = []
        for i in shown:
            more = max(0, min(left, self.heads[i].most(self._cells(i)) - least[i]))
            widths.append(least[i] + more)
            left -= more
        return shown, widths

    def _cells(self, i: int) -> list[str]:
        return [row[i] for row in (*self.rows, *self.last)]

    def _table(self, shown: Sequence[int], widths: Sequence[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, width=_sum(widths))
        for i, width in zip(shown, widths, strict=True):
            head = self.heads[i]
            justify: Literal["left", "right"] = "left" if head.left else "right"
            table.add_column(Text(head.text), justify=justify, width=width, no_wrap=head.breaks == "never")
            table.columns[-1].overflow = "fold"
        for row in self.rows:
            table.add_row(*_texts(row, shown))
        if self.last:
            table.add_section()
        for row in self.last:
            table.add_row(*_texts(row, shown))
        return table


def _texts(row: Sequence[str], shown: Sequence[int]) -> list[RenderableType]:
    return [Text(row[i]) for i in shown]


def _width(texts: Sequence[str]) -> int:
    return max((cell_len(line) for text in texts for line in text.splitlines()), default=0)


def _sum(widths: Sequence[int]) -> int:
    """Of a table with columns so wide."""
    return sum(widths) + GAP * max(0, len(widths) - 1)
