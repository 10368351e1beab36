"""What a language model answers, read strictly: whatever is not understood is refused with a cure, never passed over.

    HYPOTHESIS: why it should help; may run over several lines, up to a blank line or the next header
    EXPECT: -0.03
    IDEA: qk_norm

    EDIT replace GPT.forward
    ```python
    the code
    ```
    EDIT delete MLP.old
    EDIT rename MLP FeedForward
    TAKE right GPT.forward

A header is a line outside code that starts with one of the five keywords; `#`, `*`, `-`, `>`, backticks, blanks or a
number such as `1.` may stand before it. An upper-case keyword always makes a header, and a malformed one is an error.
In another case it does only if the whole line has the form: `Edit` with a known operation and its address alone,
`Take` with a side and an address alone, `Hypothesis` with a colon or alone, `Expect` with a colon and a number,
`Idea` with a colon and one word. So "Edit the function as follows" is prose, and prose is passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from evolve.model import Edit
from operators.addresses import FILE

Side = Literal["left", "right"]
Op = Literal["replace", "insert_before", "insert_after", "delete", "rename"]
Keyword = Literal["HYPOTHESIS", "EXPECT", "IDEA", "EDIT", "TAKE"]

SIDES: tuple[Side, ...] = get_args(Side)
OPS: tuple[Op, ...] = get_args(Op)
KEYWORDS: tuple[Keyword, ...] = get_args(Keyword)
WITHOUT_CODE = ("delete", "rename")

MOST_EDITS = 12
LONGEST_HYPOTHESIS = 600
LONGEST_QUOTE = 80

FORM = """\
HYPOTHESIS: one or two sentences why it should help
EXPECT: -0.03
IDEA: none

EDIT replace GPT.forward
```python
    def forward(self, x):
        ...
```"""

HEADER = re.compile(
    rf"(?:[\s#*>`-]|[0-9]+[.)])*(?P<word>(?ai:{'|'.join(KEYWORDS)}))(?![\w-])[*`]*(?P<colon>\s*:)?(?P<rest>.*)",
    re.DOTALL,
)
FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)", re.DOTALL)
NUMBER = re.compile(r"(?:[-+]|(?<![\w.]))(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
MINUS = str.maketrans("\N{MINUS SIGN}\N{EN DASH}", "--")
UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")  # neither a program nor a file in UTF-8 can hold them


class AnswerError(Exception):
    """An answer that cannot be used. The message says where, why, and what would do: it is meant for the model."""


@dataclass(frozen=True)
class Answer:
    """What a model proposes. `expected` is the change of the loss that it foretells, `idea` "" for one of its own.

    `takes` are sides and addresses: whose version of a place is to be used.
    """

    hypothesis: str
    expected: float | None
    idea: str
    edits: tuple[Edit, ...]
    takes: tuple[tuple[Side, str], ...]


def parse(text: str) -> Answer:
    """The answer in a text. Raises AnswerError, and nothing else."""
    lines = list(enumerate(re.sub("\r\n?", "\n", text).split("\n"), 1))
    for number, line in lines:
        if found := UNSPEAKABLE.search(line):
            raise _error(number, f"the character {found[0]!r} cannot stand in a program; leave it out")
    draft = _Draft()
    for piece in _pieces(_unwrapped(lines)):
        match piece:
            case _Header():
                draft.add_header(piece)
            case _Block():
                draft.add_block(piece)
            case _Prose():
                draft.add_prose(piece)
    return draft.answer()


class _Header(NamedTuple):
    """A header line; `rest` follows the keyword and its colon."""

    number: int
    line: str
    keyword: Keyword
    rest: str


class _Block(NamedTuple):
    """The text between two fences; `number` is the line of the first."""

    number: int
    code: str


class _Prose(NamedTuple):
    """Any other line, a blank one too."""

    number: int
    line: str


class _Draft:
    """An answer as far as it was read. `above` is the header with nothing but blank lines since."""

    def __init__(self) -> None:
        self.once: dict[Keyword, _Header] = {}
        self.hypothesis: list[str] = []
        self.expected: float | None = None
        self.idea = ""
        self.edits: list[Edit] = []
        self.takes: list[tuple[Side, str]] = []
        self.above: _Header | None = None
        self.explaining = False  # whether a line of prose belongs to the hypothesis

    def add_header(self, header: _Header) -> None:
        self._check_code_came(f"line {header.number} is {_quoted(header.line)}")
        self.above, self.explaining = header, header.keyword == "HYPOTHESIS"
        if header.keyword == "EDIT":
            self._add_edit(header)
        elif header.keyword == "TAKE":
            self._add_take(header)
        else:
            self._add_once(header)

    def _add_once(self, header: _Header) -> None:
        before = self.once.setdefault(header.keyword, header)
        if before is not header:
            raise _error(header.number, f"{header.keyword} stands on line {before.number} already; give it once")
        if header.keyword == "HYPOTHESIS":
            self.hypothesis.append(header.rest)
        elif header.keyword == "EXPECT":
            self.expected = _number(header)
        else:
            name = next(iter(_words(header.rest)), "").strip("'\".,;()[]<>-\N{EN DASH}\N{EM DASH}")
            self.idea = "" if name.lower() == "none" else name

    def _add_edit(self, header: _Header) -> None:
        edit = _edit(header)
        if edit.op == "replace" and any(e.op == "replace" and e.target == edit.target for e in self.edits):
            raise _error(header.number, f"{_quoted(header.line)} comes twice; give one block with all of the new code")
        if len(self.edits) == MOST_EDITS:
            raise _error(header.number, f"there are more than {MOST_EDITS} edits; make only those that the idea needs")
        self.edits.append(edit)

    def _add_take(self, header: _Header) -> None:
        words = _words(header.rest)
        side = next((s for s in SIDES if words and s == words[0].lower()), None)
        if side is None or len(words) != 2:
            raise _error(header.number, f"{_quoted(header.line)} is not of the form TAKE left|right ADDRESS")
        if any(address == words[1] for _, address in self.takes):
            raise _error(header.number, f"{_quoted(header.line)}: this place is taken already; take it from one side")
        self.takes.append((side, words[1]))

    def add_block(self, block: _Block) -> None:
        above, self.above, self.explaining = self.above, None, False
        if above is None or above.keyword != "EDIT":
            first = block.code.lstrip().partition("\n")[0]
            raise _error(
                block.number,
                f"which place is this code for ({_quoted(first)})? Put an EDIT line directly above each code block, "
                f"keep headers outside of blocks, and use a longer fence around code that holds ``` itself",
            )
        op = self.edits[-1].op
        if op in WITHOUT_CODE:
            raise _error(block.number, f"EDIT {op} on line {above.number} takes no code; leave the block out")
        if not block.code.strip():
            raise _error(block.number, f"the code of {_quoted(above.line)} is empty; to remove a place use EDIT delete")
        self.edits[-1] = replace(self.edits[-1], code=block.code)

    def add_prose(self, prose: _Prose) -> None:
        text = prose.line.strip()
        if text:
            self._check_code_came(f"line {prose.number} is {_quoted(text)}")
            self.above = None
            if self.explaining:
                self.hypothesis.append(text)
        elif any(part.strip(" *") for part in self.hypothesis):
            self.explaining = False

    def answer(self) -> Answer:
        """Raises AnswerError if something that is needed never came."""
        self._check_code_came("the answer ends there and seems cut")
        if not self.edits and not self.takes:
            raise AnswerError(f"the answer holds no EDIT and no TAKE line. The form is:\n\n{FORM}")
        hypothesis = " ".join(" ".join(self.hypothesis).split()).strip("* ")
        if not hypothesis:
            raise AnswerError("the answer has no hypothesis; say in a line HYPOTHESIS: ... why the change should help")
        return Answer(_cut(hypothesis), self.expected, self.idea, tuple(self.edits), tuple(self.takes))

    def _check_code_came(self, instead: str) -> None:
        above = self.above
        if above and above.keyword == "EDIT" and self.edits[-1].op not in WITHOUT_CODE:
            raise _error(
                above.number,
                f"{_quoted(above.line)} lacks its code: {instead}. Put a block between lines ``` directly below, "
                f"fences indented by three blanks at most",
            )


def _edit(header: _Header) -> Edit:
    """The edit of a header line, its code still missing. Raises AnswerError where the line is malformed."""
    words = _words(header.rest)
    op = next((op for op in OPS if words and op == words[0].lower()), None)
    shown = _quoted(header.line)
    if op is None:
        raise _error(header.number, f"{shown} names no known operation; use one of {', '.join(OPS)}, then an address")
    if len(words) != _length(op):
        form = f"EDIT {op} ADDRESS{' NEW_NAME' * (op == 'rename')}"
        raise _error(header.number, f"{shown} is not of the form {form}; an address has no blanks, write nothing after")
    if words[1] == FILE:
        raise _error(header.number, f"{shown}: {FILE} is not to be edited as a whole; edit the places that change")
    return Edit(op, words[1], words[2] if op == "rename" else "")


def _length(op: Op) -> int:
    """How many words make an edit of this kind."""
    return 3 if op == "rename" else 2


def _number(header: _Header) -> float | None:
    """The first number in a line. Raises AnswerError if it is too large to be one."""
    found = NUMBER.search(header.rest.translate(MINUS))
    value = float(found[0]) if found else None
    if value is not None and not math.isfinite(value):
        raise _error(header.number, f"{_quoted(header.line)} is not a finite number; give the change of the loss")
    return value


def _pieces(lines: list[tuple[int, str]]) -> Iterator[_Header | _Block | _Prose]:
    """The lines put together. Raises AnswerError at a code block without an end."""
    rest = iter(lines)
    for number, line in rest:
        fence = _opening(line)
        if fence:
            yield _Block(number, _code(number, fence, rest))
        else:
            yield _header(number, line) or _Prose(number, line)


def _code(number: int, fence: str, rest: Iterator[tuple[int, str]]) -> str:
    """The lines up to the closing fence. Raises AnswerError if there is none, or another opening fence before it."""
    code: list[tuple[int, str]] = []
    for at, line in rest:
        if _closes(line, fence):
            return "".join(f"{line}\n" for _, line in code)
        if (_opening(line) or "").startswith(fence):
            _check_holds_no_header(number, fence, code)
            raise _error(
                at,
                f"{_quoted(line)} stands within the code block of line {number}. Close that one with {_quoted(fence)} "
                f"alone on its line, or put a longer fence around code that holds one itself",
            )
        code.append((at, line))
    _check_holds_no_header(number, fence, code)
    raise _error(
        number,
        f"this code block is never closed: the answer seems cut. Close it with {_quoted(fence)} alone on its line; "
        f"if the answer was too long, make fewer or smaller edits",
    )


def _check_holds_no_header(number: int, fence: str, code: list[tuple[int, str]]) -> None:
    """Raise AnswerError if this block without an end seems to have swallowed a header."""
    for at, line in code:
        if line.startswith(KEYWORDS) and _header(at, line):
            raise _error(
                at,
                f"{_quoted(line)} stands within the code block that line {number} opens. Close that with "
                f"{_quoted(fence)} alone on its line, or take its fence away if there is no code in it",
            )


def _unwrapped(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines without a fence around the whole answer."""
    filled = [index for index, (_, line) in enumerate(lines) if line.strip()]
    if len(filled) < 3:
        return lines
    first, second, last = filled[0], filled[1], filled[-1]
    fence = _opening(lines[first][1])
    if fence and _closes(lines[last][1], fence) and _header(*lines[second]):
        return lines[first + 1 : last]
    return lines


def _opening(line: str) -> str | None:
    """The fence that opens a code block, without its info string; code in a line of text is none."""
    match = FENCE.fullmatch(line)
    return match["fence"] if match and not (match["fence"][0] == "`" and "`" in match["info"]) else None


def _closes(line: str, fence: str) -> bool:
    match = FENCE.fullmatch(line)
    return match is not None and match["fence"].startswith(fence) and not match["info"].strip()


def _header(number: int, line: str) -> _Header | None:
    """The header that a line is, by the rule on top of this module."""
    match = HEADER.fullmatch(line)
    if match is None:
        return None
    keyword = next(k for k in KEYWORDS if k == match["word"].upper())
    upper = match["word"] == keyword
    if upper or _has_form(keyword, match["rest"], colon=match["colon"] is not None):
        return _Header(number, line, keyword, match["rest"])
    return None


def _has_form(keyword: Keyword, rest: str, colon: bool) -> bool:
    words = _words(rest)
    match keyword:
        case "HYPOTHESIS":
            return colon or not words
        case "EXPECT":
            return colon and NUMBER.search(rest.translate(MINUS)) is not None
        case "IDEA":
            return colon and len(words) == 1
        case "EDIT":
            return any(words[:1] == [op] and len(words) == _length(op) for op in OPS)
        case "TAKE":
            return len(words) == 2 and words[0] in SIDES


def _words(rest: str) -> list[str]:
    """The words of a header without bold marks, backticks and colons around them."""
    return [word for word in (w.strip("*`:") for w in rest.split()) if word]


def _cut(text: str) -> str:
    """The text, or its first words."""
    if len(text) <= LONGEST_HYPOTHESIS:
        return text
    return text[: LONGEST_HYPOTHESIS + 1].rpartition(" ")[0] or text[:LONGEST_HYPOTHESIS]


def _quoted(text: str) -> str:
    shown = repr(text.strip())
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[: LONGEST_QUOTE - 4]}...{shown[0]}"


def _error(number: int, message: str) -> AnswerError:
    return AnswerError(f"line {number}: {message}")
