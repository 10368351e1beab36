"""Answers of a language model: what is read, what is refused and with which cure, and that nothing is lost silently."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evolve.model import Edit
from operators.llm.answer import FORM, OPS, Answer, AnswerError, Op, parse
from operators.tree import apply

WHOLE = """\
Some thoughts first.

HYPOTHESIS: Normalised queries and keys
keep the logits small.
EXPECT: -0.03
IDEA: qk_norm

EDIT replace Attention.forward
```python
    def forward(self, x):
        return x
```

EDIT insert_after HEADS

```python
QK_SCALE = 10.0  # knob: 1..30 log
```
EDIT delete MLP.old
EDIT rename MLP FeedForward
TAKE right GPT.forward
"""
WHY = "HYPOTHESIS: it helps\n"
BLOCK = "```python\nA = 2\n```\n"


def refusal(text: str) -> str:
    with pytest.raises(AnswerError) as caught:
        parse(text)
    return str(caught.value)


def edits(text: str) -> list[tuple[str, str, str]]:
    return [(e.op, e.target, e.code) for e in parse(WHY + text).edits]


def test_a_whole_answer():
    assert parse(WHOLE) == Answer(
        hypothesis="Normalised queries and keys keep the logits small.",
        expected=-0.03,
        idea="qk_norm",
        edits=(
            Edit("replace", "Attention.forward", "    def forward(self, x):\n        return x\n"),
            Edit("insert_after", "HEADS", "QK_SCALE = 10.0  # knob: 1..30 log\n"),
            Edit("delete", "MLP.old"),
            Edit("rename", "MLP", "FeedForward"),
        ),
        takes=(("right", "GPT.forward"),),
    )


def test_the_operations_are_those_of_an_edit():
    assert get_type_hints(Edit)["op"] == Op


def test_the_form_that_is_shown_is_an_answer():
    assert [(e.op, e.target) for e in parse(FORM).edits] == [("replace", "GPT.forward")]


def test_edits_that_were_read_can_be_applied():
    program = "A = 1\n\n\ndef old():\n    pass\n\n\ndef f():\n    return A\n"
    text = WHY + f"EDIT replace A\n{BLOCK}EDIT delete old\nEDIT rename f g\nEDIT insert_after g\n```\nf = g\n```\n"
    assert apply(program, parse(text).edits) == "A = 2\n\n\ndef g():\n    return A\n\n\nf = g\n"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_ends_of_lines_are_read_as_newlines(newline: str):
    assert parse(WHOLE.replace("\n", newline)) == parse(WHOLE)


@pytest.mark.parametrize(
    "line",
    [
        "## EDIT delete MLP.old",
        "**EDIT delete MLP.old**",
        "**EDIT** delete `MLP.old`",
        "- **EDIT:** delete `MLP.old`:",
        "> EDIT delete **`MLP.old`**",
        "`EDIT delete MLP.old`",
        "  2. EDIT DELETE MLP.old",
        "Edit delete MLP.old",
        "edit delete MLP.old",
    ],
)
def test_decoration_of_a_header_is_tolerated(line: str):
    assert edits(line) == [("delete", "MLP.old", "")]


@pytest.mark.parametrize(
    "line",
    [
        "Edit the function as follows:",
        "Edit delete operations with care.",
        "Edit: we replace GPT.forward",
        "Take care that the shapes agree.",
        "EDITs follow.",
        "Expect: something like a gain",
        "Expect a gain of 0.03",
        "```f(x)``` is as before",
        "Idea: normalise queries and keys",
        "Hypothesis and experiment agree",
        "I would EDIT replace GPT.forward",
    ],
)
def test_prose_is_no_header(line: str):
    read = parse(f"{line}\n{WHY}\n{line}\nEDIT delete B\n{line}\n")
    assert read == Answer("it helps", None, "", (Edit("delete", "B"),), ())


def test_headers_in_another_case_need_their_form():
    text = "**Hypothesis:** it helps\nExpect: about -0.5\n*Idea*: `rope`\nTake left `GPT.forward`\nEdit replace A:\n"
    assert parse(text + BLOCK) == Answer(
        "it helps", -0.5, "rope", (Edit("replace", "A", "A = 2\n"),), (("left", "GPT.forward"),)
    )


@pytest.mark.parametrize("address", ["LEARNING_RATE", "@training_loop", "GPT.@name", "forward.2", "GPT.__init__"])
def test_an_address_is_free_text_without_blanks(address: str):
    assert edits(f"EDIT delete {address}") == edits(f"**EDIT delete `{address}`**") == [("delete", address, "")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "EDIT move A",
            "line 2: 'EDIT move A' names no known operation; use one of replace, insert_before, insert_after, delete, "
            "rename, then an address",
        ),
        ("EDIT", "line 2: 'EDIT' names no known operation"),
        (
            "EDIT delete A B",
            "line 2: 'EDIT delete A B' is not of the form EDIT delete ADDRESS; an address has no blanks",
        ),
        ("EDIT replace", "line 2: 'EDIT replace' is not of the form EDIT replace ADDRESS;"),
        ("EDIT rename A", "line 2: 'EDIT rename A' is not of the form EDIT rename ADDRESS NEW_NAME;"),
        (
            "EDIT replace @file",
            "line 2: 'EDIT replace @file': @file is not to be edited as a whole; edit the places that change",
        ),
        ("EDIT delete @file", "line 2: 'EDIT delete @file': @file is not"),
        ("TAKE GPT.forward", "line 2: 'TAKE GPT.forward' is not of the form TAKE left|right ADDRESS"),
        ("TAKE both GPT", "line 2: 'TAKE both GPT' is not of the form TAKE left|right ADDRESS"),
        ("TAKE left A\nTAKE right A", "line 3: 'TAKE right A': this place is taken already; take it from one side"),
    ],
)
def test_a_malformed_header_in_capitals_is_an_error(line: str, message: str):
    assert refusal(WHY + line).startswith(message)


@pytest.mark.parametrize("fence", ["```", "````", "~~~", "~~~~~", "   ```", "```python", "``` {.py}"])
def test_fences(fence: str):
    close = re.match(r"\s*[`~]+", fence)[0]  # type: ignore[index]
    code = "\n    x = 1\n\n\n"
    assert edits(f"EDIT replace A\n\n{fence}\n{code}{close}  \n") == [("replace", "A", code)]


def test_a_longer_fence_holds_a_shorter_one():
    code = 'def f():\n    """\n```python\nf()\n```\n~~~~~\n    """\n'
    assert edits(f"EDIT replace f\n````python\n{code}````\n") == [("replace", "f", code)]
    assert edits(f"EDIT replace f\n~~~~~~\n{code}~~~~~~~\n") == [("replace", "f", code)]


def test_a_fence_indented_like_code_is_code():
    code = 'def f():\n    """\n    ```\n    f()\n    ```\n    """\n'
    assert edits(f"EDIT replace f\n```\n{code}```\n") == [("replace", "f", code)]


def test_headers_within_code_are_code():
    code = 'TEXT = """\nEDIT delete B\nHYPOTHESIS: none\n"""\n'
    assert edits(f"EDIT replace TEXT\n```\n{code}```\n") == [("replace", "TEXT", code)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "EDIT replace A\nHere it is:\n" + BLOCK,
            "line 2: 'EDIT replace A' lacks its code: line 3 is 'Here it is:'. Put a block between lines ``` directly "
            "below, fences indented by three blanks at most",
        ),
        (
            "EDIT insert_after A\nEDIT delete B",
            "line 2: 'EDIT insert_after A' lacks its code: line 3 is 'EDIT delete B'",
        ),
        (
            "EDIT insert_before A\n\n",
            "line 2: 'EDIT insert_before A' lacks its code: the answer ends there and seems cut",
        ),
        ("EDIT replace A\n    ```\n    A = 2\n    ```", "line 2: 'EDIT replace A' lacks its code: line 3 is '```'"),
        ("EDIT delete A\n\n" + BLOCK, "line 4: EDIT delete on line 2 takes no code; leave the block out"),
        ("EDIT rename A B\n" + BLOCK, "line 3: EDIT rename on line 2 takes no code; leave the block out"),
        (
            BLOCK + "EDIT delete B",
            "line 2: which place is this code for ('A = 2')? Put an EDIT line directly above each code block, keep "
            "headers outside of blocks, and use a longer fence around code that holds ``` itself",
        ),
        ("EDIT replace A\n" + BLOCK + "\n" + BLOCK, "line 7: which place is this code for"),
        ("TAKE left A\n" + BLOCK, "line 3: which place is this code for"),
        ("EDIT delete A\nand now\n" + BLOCK, "line 4: which place is this code for"),
        (
            "EDIT replace A\n```python\nA = 2\n",
            "line 3: this code block is never closed: the answer seems cut. Close it with '```' alone on its line; if "
            "the answer was too long, make fewer or smaller edits",
        ),
        ("EDIT replace A\n````\nA = 2\n```\n~~~~\n", "line 3: this code block is never closed"),
        ("EDIT replace A\n```\nA = 2```\n", "line 3: this code block is never closed"),
        (
            "EDIT replace A\n```\n\n  \n```",
            "line 3: the code of 'EDIT replace A' is empty; to remove a place use EDIT delete",
        ),
        (
            "EDIT replace A\n```python\nx = '''\n```python\n'''\n```",
            "line 5: '```python' stands within the code block of line 3. Close that one with '```' alone on its line, "
            "or put a longer fence around code that holds one itself",
        ),
        (
            "EDIT replace A\n```python\nA = 2\nEDIT replace B\n```python\nB = 2\n```",
            "line 5: 'EDIT replace B' stands within the code block that line 3 opens. Close that with '```' alone on "
            "its line, or take its fence away if there is no code in it",
        ),
        ("EDIT replace A\n```\nA = 2\nEDIT delete B", "line 5: 'EDIT delete B' stands within the code block"),
        ("EDIT replace A\n```\nEXPECTED = 2\n", "line 3: this code block is never closed"),
        (
            f"EDIT replace A\n{BLOCK}\nEDIT replace `A`\n{BLOCK}",
            "line 7: 'EDIT replace `A`' comes twice; give one block with all of the new code",
        ),
        (
            "".join(f"EDIT delete A{n}\n" for n in range(13)),
            "line 14: there are more than 12 edits; make only those that the idea needs",
        ),
    ],
)
def test_code_belongs_to_an_edit_and_an_edit_has_its_code(text: str, message: str):
    assert refusal(WHY + text).startswith(message)


def test_twelve_edits_are_allowed_and_may_meet_at_one_place():
    ops = ["insert_after"] * 11 + ["replace"]
    assert edits("".join(f"EDIT {op} A\n{BLOCK}" for op in ops)) == [(op, "A", "A = 2\n") for op in ops]


def test_an_answer_without_edits_is_shown_the_form():
    expected = f"the answer holds no EDIT and no TAKE line. The form is:\n\n{FORM}"
    assert refusal("") == refusal("I cannot help with that.") == refusal(WHY) == expected


def test_a_take_alone_is_an_answer():
    assert parse(WHY + "TAKE left GPT").takes == (("left", "GPT"),)


@pytest.mark.parametrize("why", ["", "HYPOTHESIS:\n", "**HYPOTHESIS:**\n\n"])
def test_a_hypothesis_is_required(why: str):
    message = "the answer has no hypothesis; say in a line HYPOTHESIS: ... why the change should help"
    assert refusal(why + "EDIT delete A") == message


@pytest.mark.parametrize("line", ["HYPOTHESIS: again", "EXPECT: -1", "IDEA: rope"])
def test_what_is_said_once_is_an_error_when_it_comes_twice(line: str):
    text = WHY + "EXPECT: -1\nIDEA: rope\n" + line
    before = text.splitlines().index(next(x for x in text.splitlines() if x[:4] == line[:4])) + 1
    keyword = line.partition(":")[0]
    assert refusal(text) == f"line 4: {keyword} stands on line {before} already; give it once"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("HYPOTHESIS: one\n  two\nthree.\n\nfour\n", "one two three."),
        ("## HYPOTHESIS\n\nSaid below.\n", "Said below."),
        ("**HYPOTHESIS: in bold**\n", "in bold"),
        ("**Hypothesis**: 2 * 3 `x`\n", "2 * 3 `x`"),
        ("HYPOTHESIS: one\nEXPECT: -1\ntwo\n", "one"),
    ],
)
def test_a_hypothesis_ends_at_a_blank_line_or_a_header(text: str, read: str):
    assert parse(text + "\nEDIT delete A").hypothesis == read


def test_a_long_hypothesis_is_cut_at_a_word():
    def cut(text: str) -> str:
        return parse(f"HYPOTHESIS: {text}\nEDIT delete A").hypothesis

    assert cut("seven77 " * 75 + "x") == ("seven77 " * 75)[:-1]
    assert cut("a " + "x" * 598 + " y") == "a " + "x" * 598
    assert cut("x" * 600 + " y") == cut("x" * 700) == "x" * 600
    assert cut("seven77 " * 74 + "nine99999") == "seven77 " * 73 + "seven77"


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("-0.03", -0.03),
        ("\N{MINUS SIGN}0.03 bits", -0.03),
        ("**-3e-2** (L2 norm)", -0.03),
        ("in layer2 about +.5, not 7", 0.5),
        ("val_bpb-0.25", -0.25),
        ("no idea", None),
        ("nan", None),
        ("", None),
    ],
)
def test_the_first_number_is_what_is_expected(said: str, number: float | None):
    assert parse(f"{WHY}EXPECT: {said}\nEDIT delete A").expected == number


def test_an_expectation_is_finite():
    assert refusal(WHY + "EXPECT: 1e999\nEDIT delete A") == (
        "line 2: 'EXPECT: 1e999' is not a finite number; give the change of the loss"
    )


@pytest.mark.parametrize(
    ("line", "idea"),
    [
        ("IDEA: `qk-norm`", "qk-norm"),
        ("**IDEA:** rope (rotary)", "rope"),
        ("IDEA: None.", ""),
        ("IDEA: -", ""),
        ("IDEA: - (rope is in already)", ""),
        ("IDEA:", ""),
        ("", ""),
    ],
)
def test_an_idea_is_a_name_or_nothing(line: str, idea: str):
    assert parse(f"{WHY}{line}\nEDIT delete A").idea == idea


@pytest.mark.parametrize(("opening", "close"), [("```", "```"), ("~~~~markdown", "~~~~"), ("````", "````")])
def test_a_fence_around_the_whole_answer_is_taken_off(opening: str, close: str):
    _, _, answer = WHOLE.partition("\n\n")
    assert parse(f"\n{opening}\n\n{answer}{close}\n\n") == parse(WHOLE)
    assert refusal(f"{opening}\n{WHY}EDIT move A\n{close}").startswith("line 3: 'EDIT move A'")


def test_code_that_comes_first_is_no_fence_around_the_answer():
    assert refusal(f"{BLOCK}{WHY}EDIT replace A\n{BLOCK}").startswith("line 1: which place is this code for ('A = 2')?")


def test_a_fence_around_the_headers_only_is_an_error():
    headers = "```\nHYPOTHESIS: it helps\n```\n"
    assert refusal(f"{headers}EDIT replace A\n{BLOCK}").startswith(
        "line 4: 'EDIT replace A' stands within the code block that line 3 opens."
    )
    assert refusal(f"{headers}EDIT delete A\n").startswith(
        "line 1: which place is this code for ('HYPOTHESIS: it helps')? Put an EDIT line"
    )
    assert refusal(f"Here:\n```\n{WHY}EDIT replace A\n{BLOCK}```").startswith("line 3: 'HYPOTHESIS: it helps' stands")


@pytest.mark.parametrize("character", ["\0", "\ud83d"])
def test_a_character_that_no_program_holds_is_an_error(character: str):
    name = repr(character)
    assert refusal(f"{WHY}EDIT replace A\n```\nA = '{character}'\n```") == (
        f"line 4: the character {name} cannot stand in a program; leave it out"
    )


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_message_quotes_at_most_eighty_characters(size: int):
    quoted = re.findall(r"'.*'", refusal(f"{WHY}EDIT move {'x' * size}"))[0]
    assert len(quoted) == min(80, len("'EDIT move '") + size)


# --- Any text, random answers, spoiled answers ---

FRAGMENTS = (
    "HYPOTHESIS:", "**Hypothesis:**", "EXPECT: ", "-0.03", "IDEA", "EDIT", "Edit ", "TAKE left ", "replace", " delete ",
    " rename ", " A", "@file", "```", "````python", "~~~", "\n", "\n\n", "\r\n", "    ", "# ", "> ", "`", "*", ":",
    "\N{KELVIN SIGN}", "\N{LATIN SMALL LETTER LONG S}", "taKe", "ıdea:", "1e999", "\0", "\ud800", "\f", "\u2028",
)  # fmt: skip
CODE_LINES = (
    "", "A = 1", "    return x", "# EDIT: why", "EDIT delete A", "EDIT replace B", "HYPOTHESIS: x", "TAKE left C",
    "```", "````", "```python", "~~~", "    ```", '"""', "a\fb\u2028c",
)  # fmt: skip
DECORATIONS: tuple[Callable[[str], str], ...] = (
    lambda line: line,
    lambda line: f"## {line}",
    lambda line: f"**{line}**",
    lambda line: f"> 1. {line}",
    lambda line: re.sub(r"^(\w+) (\w+)", r"**\1** `\2`", line),
)


def parsed(text: str) -> Answer | None:
    """The answer, or None with a message that says something and shows no more than it must."""
    try:
        return parse(text)
    except AnswerError as error:
        message = str(error)
        assert FORM in message or (10 < len(message) < 500 and "\n" not in message)
        assert message.startswith("the answer h") or 1 <= int(message[5 : message.index(":")]) <= len(text) + 1
        message.encode()
        return None


@given(st.text())
@settings(max_examples=200)
def test_any_text_is_read_or_refused(text: str):
    parsed(text)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
@settings(max_examples=300)
@example("TA\N{KELVIN SIGN}E left A")
def test_any_text_that_looks_like_an_answer_is_read_or_refused(text: str):
    parsed(text)


NAMES = ("A", "HEADS", "GPT", "GPT.forward", "GPT.__init__", "GPT.@name", "@setup", "@training_loop.2", "f.3", "grün_")


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    words = st.sampled_from(("Edit", "the", "EDITs", "(2", "*", "norm.", "expect", "it:", "-0.5", "Idea", "```x```"))
    names = st.sampled_from(NAMES)
    code = st.lists(st.sampled_from(CODE_LINES), max_size=5).map(lambda c: "\n".join([*c, "B = 2\n"]))
    made = []
    for target in draw(st.lists(names, max_size=5, unique=True)):
        op = draw(st.sampled_from(OPS))
        made.append(Edit(op, target, "" if op == "delete" else draw(names if op == "rename" else code)))
    sides = st.tuples(st.sampled_from(("left", "right")), names)
    return Answer(
        " ".join(["Because", *draw(st.lists(words, max_size=8)), "so."]),
        draw(st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        draw(st.sampled_from(("", "rope", "qk_norm", "v2"))),
        tuple(made),
        tuple(draw(st.lists(sides, min_size=not made, max_size=2, unique_by=lambda take: take[1]))),
    )


def written(answer: Answer, decorated: Callable[[str], str] = DECORATIONS[0], mark: str = "`") -> str:
    """The answer as a model would write it."""
    lines = [decorated(f"HYPOTHESIS: {answer.hypothesis}")]
    lines += [] if answer.expected is None else [f"EXPECT: {answer.expected!r}"]
    lines += [f"IDEA: {answer.idea or 'none'}", ""]
    for edit in answer.edits:
        lines.append(decorated(f"EDIT {edit.op} {edit.target}" + f" {edit.code}" * (edit.op == "rename")))
        if edit.op not in ("delete", "rename"):
            fence = mark * max(3, *(len(run) + 1 for run in re.findall(f"{mark}+", edit.code) or [""]))
            lines += [fence + "python", *edit.code.split("\n")[:-1], fence, ""]
    lines += [decorated(f"TAKE {side} {address}") for side, address in answer.takes]
    return "\n".join(lines) + "\n"


@given(answers(), st.sampled_from(DECORATIONS[:1] * 2 + DECORATIONS), st.sampled_from("`~"), st.booleans())
@settings(max_examples=200)
def test_an_answer_that_was_written_is_read_as_it_was(answer: Answer, decorated, mark: str, wrapped: bool):
    text = written(answer, decorated, mark)
    assert parse(f"~~~~~~~~\n{text}~~~~~~~~" if wrapped else text) == answer


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """An answer with one to three accidents."""
    lines = written(draw(answers()), mark=draw(st.sampled_from("`~"))).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("delete", "duplicate", "swap", "fence", "cut"))):
            case "delete" if len(lines) > 1:
                del lines[at]
            case "duplicate":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "fence":
                lines.insert(at, draw(st.sampled_from(("```", "~~~", "```python", "`````", "   ```", "    ```"))))
            case _:
                lines[at:] = [lines[at][: draw(st.integers(0, len(lines[at])))]]
    return "\n".join(lines)


def outside_and_inside(text: str) -> tuple[list[str], list[str]]:
    """The lines outside of code, and the blocks of code: an independent reading of the fences."""
    lines = text.strip().split("\n")
    if re.match("```|~~~", lines[0]):  # only the fence around the whole answer may come first
        lines = lines[1:-1]
    outside, blocks, fence = [], [], ""
    for line in lines:
        run = re.match(r" {0,3}(```+|~~~+)(?=\w*\s*$)", line)
        if fence and run and run[1].startswith(fence) and line.strip() == run[1]:
            fence = ""
        elif fence:
            blocks[-1] += line + "\n"
        elif run:
            fence = run[1]
            blocks.append("")
        else:
            outside.append(line)
    return outside, blocks


@given(spoiled())
@settings(max_examples=200)
def test_no_edit_of_a_spoiled_answer_is_lost(text: str):
    read = parsed(text)
    if read is None:
        return
    outside, blocks = outside_and_inside(text)
    said = [line.split()[1:] for line in outside if line.startswith("EDIT ")]
    assert [[e.op, e.target] + [e.code] * (e.op == "rename") for e in read.edits] == said
    assert [e.code for e in read.edits if e.op not in ("delete", "rename")] == blocks
    assert [list(take) for take in read.takes] == [x.split()[1:] for x in outside if x.startswith("TAKE ")]
